//! What is on air, as feeds tell it and listeners hear it: the words that ingests,
//! doors and the store share. Knows neither a feed nor the rooms.

mod aired;
mod airing;
pub mod feed;
mod item;
mod text;
mod time;
mod track;
mod went_on;

use std::sync::Arc;

use chrono::Duration;
use chrono_tz::Tz;

pub use aired::{Aired, CsvRows};
pub use item::{Item, LENGTH_MOST, TEXT_MOST, can_start, capped};
pub use text::{clean, printable};
pub use time::parse_time;
pub use track::{Track, Validity, nothing_known};
pub use went_on::WentOn;

/// Where tracks go, and who listens there.
pub const NAMESPACE: &str = "/metadata";
/// The room of what is on.
pub const NOW_PLAYING: &str = "now-playing";
/// The room of what comes next.
pub const NEXT: &str = "next";
/// Under this key [`NOW_PLAYING`] retains the last song.
pub const SONG_KEY: &str = "song";
/// Under this key it retains what is on, be it a song or not.
pub const CURRENT_KEY: &str = "current";

/// How long an item may last beyond its length: songs fade, and documents take
/// a moment.
pub const GRACE: Duration = Duration::minutes(1);

/// Equal ids with starts this close are one airing: hot spares' clocks differ.
pub const SAME_START: Duration = Duration::seconds(10);

/// What a station has of its own.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its wall clock.
    pub timezone: Tz,
    /// What listeners see when no song is on.
    pub text: String,
}

/// What a feed has told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another item is on.
    Current(Item),
    /// What is on was told wrong before.
    Corrected(Item),
    /// What is on was told again, and nothing new of it.
    Again(Item),
    /// Another item comes next.
    Next(Item),
    /// The item was on, but something newer is: for the play log only.
    Aired(Item),
}

/// Where an ingest puts what it was told; must not block.
pub type Publish = Arc<dyn Fn(Change) + Send + Sync>;

//! What is on air, as feeds tell it and listeners hear it: the words that ingests,
//! doors and the store share. Knows neither a feed nor the rooms.

mod aired;
mod airing;
pub mod feed;
mod item;
mod text;
mod time;
mod track;

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use tokio::time::Instant;

pub use aired::{Aired, CsvRows};
pub use airing::Airing;
pub use item::{Item, LENGTH_MOST, TEXT_MOST, can_start, capped};
pub use text::{clean, printable};
pub use time::parse_time;
pub use track::{Track, is_stale, nothing_known};

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
pub const GRACE: Duration = Duration::from_secs(60);

/// The same item with starts this close, told by one sender, is one airing.
pub const SAME_START: Duration = Duration::from_secs(10);

/// For how long an id means the same airing, whichever sender declares it. Ids number the
/// events of the station's log; a new log may begin with the same ids every day.
pub const SAME_ID: Duration = Duration::from_secs(12 * 60 * 60);

/// How many airings are remembered: 12 hours of items of 20 seconds each.
pub const AIRINGS_MOST: usize = 2_048;

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
    /// The item that was received first at this moment is on again, after a shorter one
    /// that cut into it.
    Resumed(Item, Instant),
    /// What is on was told wrong before.
    Corrected(Item),
    /// What is on was told again, and nothing new of it.
    Again(Item),
    /// Another item comes next.
    Next(Item),
    /// What comes next is not known any more: a song begins, and its sender names no next one.
    NextUnknown,
}

/// Where an ingest puts what it was told; must not block.
pub type Publish = Arc<dyn Fn(Change) + Send + Sync>;

//! What was on when the server was stopped, as a room has kept it.
//! Knows no room; what listeners were not told, it does not know either.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Item;

/// An item that was on when the server was stopped.
#[derive(Clone, Debug)]
pub struct WentOn {
    /// What listeners were told of it: no id, to the second, and of what is no
    /// song only when it began and how long it is.
    pub item: Item,
    /// When it was received.
    pub received: DateTime<Utc>,
}

impl WentOn {
    /// Reads it from its message; nothing where that shows no item.
    pub fn read(message: &RawValue, received: DateTime<Utc>) -> Option<Self> {
        let shown: Shown = serde_json::from_str(message.get()).ok()?;
        // To the second: both texts hold no fractions.
        let played = shown.ends_at.map(|end| end - shown.start);
        let item = Item {
            id: String::new(),
            kind: shown.kind,
            title: shown.track,
            artist: shown.artist,
            album: shown.album,
            length: shown.length,
            played: played.map_or(shown.length, |played| played.num_milliseconds() as f64),
            start: shown.start,
        };
        let item = item.capped();
        (!shown.stale).then_some(Self { item, received })
    }
}

/// A track, as `message` writes it.
#[derive(Deserialize)]
struct Shown {
    track: String,
    #[serde(rename = "type")]
    kind: String,
    artist: String,
    album: String,
    length: f64,
    #[serde(rename = "timestampUTC")]
    start: DateTime<Utc>,
    #[serde(default, rename = "endsAt")]
    ends_at: Option<DateTime<Utc>>,
    #[serde(default)]
    stale: bool,
}

//! An airing: one time that an item is on air. Decides which declarations are of the same item, and
//! reads airings back after a restart. Knows no sender.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::track::rounded;
use super::{GRACE, Item};

/// An airing from before a restart: the item, and when the server first received it.
#[derive(Clone, Debug)]
pub struct Airing {
    /// The item as listeners received it: only songs have a name. If it was read from a message, it
    /// has no id, and its start is in whole seconds.
    pub item: Item,
    /// The time of receipt.
    pub received: DateTime<Utc>,
}

impl Airing {
    /// Reads an airing from the message of its event; `None` if the message shows no item.
    pub fn read(message: &RawValue, received: DateTime<Utc>) -> Option<Self> {
        let shown: Shown = serde_json::from_str(message.get()).ok()?;
        let played = shown.ends_at.map(|end| end - shown.start);
        let item = Item {
            airing: Uuid::nil(),
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

    /// The time since the receipt on the wall clock: at least zero, and at most the item's length
    /// and [`GRACE`], since an operator may have set the clock in the meantime.
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        let age = (now - self.received).to_std().unwrap_or_default();
        age.min(self.item.duration() + GRACE)
    }
}

impl Item {
    /// Whether both are the same item: by id, or by title and artist if neither has one.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && (!self.id.is_empty() || (&self.title, &self.artist) == (&other.title, &other.artist))
    }

    /// Whether both are equal except for their airing and their start, which each sender declares
    /// by its own clock.
    pub fn matches(&self, other: &Self) -> bool {
        let (airing, start) = (self.airing, self.start);
        *self
            == Self {
                airing,
                start,
                ..other.clone()
            }
    }

    /// Whether the two items look the same to listeners except for their starts: both are the same
    /// song, or both are masked and have the same length.
    pub fn looks_like(&self, other: &Self) -> bool {
        if self.is_song() && other.is_song() {
            (&self.title, &self.artist) == (&other.title, &other.artist)
        } else {
            self.is_song() == other.is_song() && rounded(self.length) == rounded(other.length)
        }
    }
}

/// The fields of a track in a message.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An operator may set the clock while the server is down.
    #[test]
    fn the_age_of_an_airing_is_between_zero_and_its_length_and_a_minute() {
        let received: DateTime<Utc> = "2026-03-01T01:00:00Z".parse().unwrap();
        for (passed, played, age) in [
            (-86_400, 200_000.0, 0),
            (-1, 200_000.0, 0),
            (17, 200_000.0, 17),
            (259, 200_000.0, 259),
            (86_400, 200_000.0, 260),
            (86_400, 0.0, 60),
            (200_000, 1e300, 86_460),
        ] {
            let item = Item {
                played,
                ..Item::default()
            };
            let airing = Airing { item, received };
            let now = received + chrono::TimeDelta::seconds(passed);
            assert_eq!(airing.age(now), Duration::from_secs(age), "{passed} s");
        }
    }
}

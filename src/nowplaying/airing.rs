//! Which items are the same, and which are the same time that one is on.
//! Knows no sender: how a feed repeats and corrects is its own matter.

use chrono::Duration;

use super::track::rounded;
use super::{Item, SAME_START};

/// How exactly a room keeps starts.
const KEPT_TO: Duration = Duration::seconds(1);

impl Item {
    /// Whether both are the same item, by its id; what has none, by its name.
    pub fn is_same(&self, other: &Self) -> bool {
        if self.id.is_empty() || other.id.is_empty() {
            (&self.id, &self.title, &self.artist) == (&other.id, &other.title, &other.artist)
        } else {
            self.id == other.id
        }
    }

    /// Whether listeners can't tell one from the other, but by their starts: both
    /// are the same song, or no songs and of the same length.
    pub fn looks_like(&self, other: &Self) -> bool {
        if self.is_song() && other.is_song() {
            (&self.title, &self.artist) == (&other.title, &other.artist)
        } else {
            self.is_song() == other.is_song() && rounded(self.length) == rounded(other.length)
        }
    }

    /// Whether both, as everybody may see them, are the same time that the same
    /// item is on: told twice, corrected, or told again behind a restart.
    ///
    /// The same item can't begin again while it is on. What is masked and has no
    /// id can't be told from the next one, but by its start: the very same, or that
    /// of a hot spare with the same length.
    pub fn is_airing_of(&self, other: &Self) -> bool {
        let apart = (self.start - other.start).abs();
        let is_unknown = |item: &Self| item.id.is_empty() && !item.is_song();
        if is_unknown(self) && is_unknown(other) {
            return apart < KEPT_TO || apart <= SAME_START && self.looks_like(other);
        }
        let earlier = if self.start <= other.start {
            self
        } else {
            other
        };
        self.is_same(other)
            && apart <= SAME_START.max(Duration::milliseconds(earlier.played as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Station;
    use super::*;

    /// Everything on air fades: what comes next begins before the end.
    #[test]
    fn an_airing_is_told_from_the_next() {
        let station = Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        };
        let told = |id: &str, kind: &str, title: &str, length: f64, start: &str| {
            let told = Item {
                id: id.into(),
                kind: kind.into(),
                title: title.into(),
                length,
                played: length,
                start: start.parse().unwrap(),
                ..Item::default()
            };
            told.shown(&station)
        };
        let minute = |seconds: &str| format!("2024-09-24T00:32:{seconds}Z");
        for (what, first, second, same) in [
            (
                "spots by hand",
                ("", "SPOT", "Acme", 30_000.0, "20"),
                ("", "SPOT", "Other", 30_000.0, "49.5"),
                false,
            ),
            (
                "short ones",
                ("", "SPOT", "Acme", 5_000.0, "20"),
                ("", "SPOT", "Other", 6_000.0, "24.5"),
                false,
            ),
            (
                "one, told by the spare",
                ("", "SPOT", "Acme", 5_000.0, "20"),
                ("", "SPOT", "Acme", 5_000.0, "28"),
                true,
            ),
            (
                "one, corrected behind a restart",
                ("", "SPOT", "Acme", 0.0, "20.9"),
                ("", "SPOT", "Acme", 30_000.0, "20"),
                true,
            ),
            (
                "one with an id, told again without a start",
                ("1", "SPOT", "Acme", 30_000.0, "20"),
                ("1", "SPOT", "Acme", 30_000.0, "49.5"),
                true,
            ),
            (
                "two with ids",
                ("1", "SPOT", "Acme", 30_000.0, "20"),
                ("2", "SPOT", "Other", 30_000.0, "20"),
                false,
            ),
            (
                "a song by hand, told again without a start",
                ("", "SONG", "One", 30_000.0, "20"),
                ("", "SONG", "One", 30_000.0, "49.5"),
                true,
            ),
            (
                "a song, and a spot, by hand",
                ("", "SONG", "One", 30_000.0, "20"),
                ("", "SPOT", "Acme", 30_000.0, "20"),
                false,
            ),
        ] {
            let [first, second] = [first, second].map(|(id, kind, title, length, start)| {
                told(id, kind, title, length, &minute(start))
            });
            assert_eq!(second.is_airing_of(&first), same, "{what}");
            assert_eq!(first.is_airing_of(&second), same, "{what}");
        }
    }
}

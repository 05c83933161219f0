//! An item on air, as a feed says it; and what of it everybody may see.
//! Knows no form that it is written in.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use uuid::Uuid;

use super::Station;

/// The type that everything which is not a song is shown as.
pub(super) const MASKED: &str = "LINK";

/// The longest that an item can be, in milliseconds: a day, as the log of a studio
/// has it.
pub const LENGTH_MOST: f64 = 86_400_000.0;

/// The longest text of an item, in bytes: ten times a long title. Longer texts are cut.
pub const TEXT_MOST: usize = 1024;

/// Cuts a text to at most [`TEXT_MOST`] bytes of whole characters.
pub fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MOST)]
}

/// How far ahead an item can start: what is later is no time of a clock that is
/// anywhere near right.
const AHEAD_MOST: TimeDelta = TimeDelta::days(1);

/// Whether an item that is declared now can have this start. Leap seconds are excluded:
/// JavaScript's `Date` does not accept them.
pub fn can_start(start: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let is_leap_second = start.nanosecond() >= 1_000_000_000;
    start > DateTime::UNIX_EPOCH && start - now < AHEAD_MOST && !is_leap_second
}

/// An item on air, as a feed says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The airing that the item is part of: the key of its row in the play log.
    pub airing: Uuid,
    /// The feed's id of it; empty where it has none.
    pub id: String,
    /// What kind of item; listeners see `SONG` or nothing of it.
    pub kind: String,
    /// The title; without one an item is shown as no song.
    pub title: String,
    /// Who plays it.
    pub artist: String,
    /// What it is on.
    pub album: String,
    /// The length of its file in milliseconds; 0 if it is unknown.
    pub length: f64,
    /// How long it is on air, in milliseconds: less than the length of the file if that is trimmed;
    /// 0 if it is unknown.
    pub played: f64,
    /// When it started, or is to start.
    pub start: DateTime<Utc>,
}

impl Item {
    /// The type of a song.
    pub const SONG: &str = "SONG";

    /// Whether listeners may see what it is.
    ///
    /// What has no title is no song, whatever it says: listeners are never
    /// shown a song without a name.
    pub fn is_song(&self) -> bool {
        let named = !self.title.trim().is_empty();
        named && self.kind.trim().eq_ignore_ascii_case(Self::SONG)
    }

    /// How long it is on air; zero if that is unknown.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.played.min(LENGTH_MOST) as u64)
    }

    /// Returns the item with its texts [`capped`].
    pub fn capped(mut self) -> Self {
        let Self {
            id,
            kind,
            title,
            artist,
            album,
            ..
        } = &mut self;
        for text in [id, kind, title, artist, album] {
            // A copy, so that the memory of the long text is freed.
            if text.len() > TEXT_MOST {
                *text = capped(text).to_owned();
            }
        }
        self
    }

    /// The size of its texts, in bytes.
    pub fn text_bytes(&self) -> usize {
        let Self {
            id,
            kind,
            title,
            artist,
            album,
            ..
        } = self;
        [id, kind, title, artist, album]
            .map(String::len)
            .iter()
            .sum()
    }

    /// The item as everybody may see it. What is not a song is masked by the
    /// station's text: an advertiser's name is never shown, nor kept.
    pub fn shown(self, station: &Station) -> Self {
        if self.is_song() {
            let kind = Self::SONG.to_owned();
            return Self { kind, ..self };
        }
        Self {
            kind: MASKED.to_owned(),
            title: station.text.clone(),
            artist: String::new(),
            album: String::new(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (text, length) in [
            ("x".repeat(TEXT_MOST), TEXT_MOST),
            ("x".repeat(TEXT_MOST + 1), TEXT_MOST),
            (format!("x{}", "é".repeat(TEXT_MOST)), TEXT_MOST - 1),
            ("\u{1d11e}".repeat(TEXT_MOST), TEXT_MOST),
        ] {
            assert_eq!(capped(&text).len(), length);
            let item = Item {
                id: text.clone(),
                kind: text.clone(),
                title: text.clone(),
                artist: text.clone(),
                album: text,
                ..Item::default()
            };
            let item = item.capped();
            assert_eq!(item.text_bytes(), 5 * length);
            assert!(item.title.capacity() <= TEXT_MOST);
        }
    }
}

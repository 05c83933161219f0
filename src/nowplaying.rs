//! What listeners are told of an item: the track, as JSON.
//! Knows neither the feed that it came from nor the rooms that it goes to.

pub mod feed;

use std::sync::Arc;

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The type that everything which is not a song is shown as.
const MASKED: &str = "LINK";

/// What a station has of its own.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its wall clock.
    pub timezone: Tz,
    /// What listeners see when no song is on.
    pub text: String,
}

/// Which room a track is for, and how the room keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What is on now.
    Current {
        /// Whether it is a song, and with it the last song.
        song: bool,
    },
    /// What comes next.
    Next,
}

/// Where an ingest puts its tracks; must not block.
pub type Publish = Arc<dyn Fn(Slot, Box<RawValue>) + Send + Sync>;

/// An item on air, as a feed says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What kind of item; listeners see `SONG` or nothing of it.
    pub kind: String,
    /// The title; without one an item is shown as no song.
    pub title: String,
    /// Who plays it.
    pub artist: String,
    /// What it is on.
    pub album: String,
    /// What is played of it, in milliseconds; 0 where unknown.
    pub length: f64,
    /// When it started, or is to start.
    pub start: DateTime<Utc>,
}

impl Item {
    /// Whether listeners may see what it is.
    ///
    /// What has no title is no song, whatever it says: listeners are never
    /// shown a song without a name.
    pub fn is_song(&self) -> bool {
        let named = !self.title.trim().is_empty();
        named && self.kind.trim().eq_ignore_ascii_case("SONG")
    }

    /// The message that listeners get. What is not a song is masked by the
    /// station's text: an advertiser's name is never shown.
    pub fn message(&self, station: &Station) -> Box<RawValue> {
        to_raw_value(&Track::new(self, station)).expect("strings and numbers always serialize")
    }
}

#[derive(Serialize)]
struct Track<'a> {
    track: &'a str,
    r#type: &'a str,
    album: &'a str,
    artist: &'a str,
    length: f64,
    #[serde(rename = "timestampUTC")]
    timestamp_utc: String,
    #[serde(rename = "timestampCST")]
    timestamp_cst: String,
    #[serde(rename = "startedAt")]
    started_at: String,
    #[serde(rename = "endsAt", skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

impl<'a> Track<'a> {
    fn new(item: &'a Item, station: &'a Station) -> Self {
        let [track, kind, album, artist] = if item.is_song() {
            [&item.title, "SONG", &item.album, &item.artist]
        } else {
            [station.text.as_str(), MASKED, "", ""]
        };
        let local = item.start.with_timezone(&station.timezone);
        let length = rounded(item.length);
        let ends_at = (length > 0.0).then(|| {
            let end = local + Duration::milliseconds(length as i64);
            end.to_rfc3339_opts(SecondsFormat::Secs, false)
        });
        Self {
            track,
            r#type: kind,
            album,
            artist,
            length,
            timestamp_utc: item.start.to_rfc3339_opts(SecondsFormat::Secs, true),
            // The documented field of an existing contract: the station's wall
            // clock with a literal Z.
            timestamp_cst: local.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            started_at: local.to_rfc3339_opts(SecondsFormat::Secs, false),
            ends_at,
        }
    }
}

/// To 0.1 ms; whatever is no length is 0.
fn rounded(length: f64) -> f64 {
    let tenth = (length * 10.0).round() / 10.0;
    if tenth.is_finite() && tenth > 0.0 {
        tenth
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station() -> Station {
        Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        }
    }

    fn item(kind: &str, start: &str) -> Item {
        Item {
            kind: kind.into(),
            title: "I Know It's Over".into(),
            artist: "The Smiths".into(),
            album: "The Queen Is Dead".into(),
            length: 347_893.3,
            start: start.parse().unwrap(),
        }
    }

    #[test]
    fn a_song_is_shown_as_the_contract_says() {
        let message = item("SONG", "2024-09-24T00:32:22Z").message(&station());
        assert_eq!(
            message.get(),
            r#"{"track":"I Know It's Over","type":"SONG","album":"The Queen Is Dead","artist":"The Smiths","length":347893.3,"timestampUTC":"2024-09-24T00:32:22Z","timestampCST":"2024-09-23T19:32:22Z","startedAt":"2024-09-23T19:32:22-05:00","endsAt":"2024-09-23T19:38:09-05:00"}"#
        );
    }

    #[test]
    fn what_is_not_a_song_is_masked() {
        for kind in ["SPOT", "LINK", "BREAK", "", "SONGS"] {
            let message = item(kind, "2024-09-24T00:32:22Z").message(&station());
            let start = r#"{"track":"The station","type":"LINK","album":"","artist":"","#;
            assert!(message.get().starts_with(start), "{kind}: {message}");
        }
    }

    #[test]
    fn a_song_has_a_title() {
        for (title, artist, song) in [
            ("I Know It's Over", "The Smiths", true),
            ("I Know It's Over", "", true),
            (" ", "The Smiths", false),
            ("", "", false),
        ] {
            let item = Item {
                title: title.into(),
                artist: artist.into(),
                ..item("SONG", "2024-09-24T00:32:22Z")
            };
            assert_eq!(item.is_song(), song, "{title} by {artist}");
            let message = item.message(&station());
            assert_eq!(
                message.get().contains(r#""type":"SONG""#),
                song,
                "{message}"
            );
        }
    }

    #[test]
    fn the_clock_is_right_on_the_nights_it_changes() {
        let cases = [
            ("2024-03-10T07:59:59Z", "2024-03-10T01:59:59", "-06:00"),
            ("2024-03-10T08:00:00Z", "2024-03-10T03:00:00", "-05:00"),
            ("2024-11-03T06:59:59Z", "2024-11-03T01:59:59", "-05:00"),
            ("2024-11-03T07:00:00Z", "2024-11-03T01:00:00", "-06:00"),
        ];
        for (utc, wall, offset) in cases {
            let message = item("SONG", utc).message(&station());
            let shown: serde_json::Value = serde_json::from_str(message.get()).unwrap();
            assert_eq!(shown["timestampCST"], format!("{wall}Z"));
            assert_eq!(shown["startedAt"], format!("{wall}{offset}"));
        }
    }

    #[test]
    fn a_length_is_finite_and_not_negative() {
        for (length, shown) in [
            (f64::NAN, 0.0),
            (f64::INFINITY, 0.0),
            (-5.0, 0.0),
            (0.04, 0.0),
            (254_833.94, 254_833.9),
        ] {
            assert_eq!(rounded(length), shown, "{length}");
        }
    }
}

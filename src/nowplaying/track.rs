//! What listeners are told of an item: the track, as JSON, written and read back.
//! Knows neither the feed that it came from nor the rooms that it goes to.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::item::MASKED;
use super::{Item, Station};

impl Item {
    /// The message that listeners get, of the item as everybody may see it.
    pub fn message(&self, station: &Station) -> Box<RawValue> {
        let shown = self.clone().shown(station);
        to_raw_value(&Track::new(&shown, station)).expect("strings and numbers always serialize")
    }
}

/// A track, as listeners get it in events.
#[derive(Serialize, ToSchema)]
pub struct Track<'a> {
    /// The title, or the station's text where it is no song.
    #[schema(example = "I Know It's Over")]
    track: &'a str,
    #[schema(schema_with = kinds)]
    r#type: &'a str,
    #[schema(example = "The Queen Is Dead")]
    album: &'a str,
    #[schema(example = "The Smiths")]
    artist: &'a str,
    /// The length of the file in milliseconds; 0 if it is unknown.
    #[schema(minimum = 0, example = 347_893.3)]
    length: f64,
    /// When it started.
    #[serde(rename = "timestampUTC")]
    #[schema(format = DateTime)]
    timestamp_utc: String,
    /// The station's wall clock, written with a literal Z.
    #[serde(rename = "timestampCST")]
    timestamp_cst: String,
    /// When it started, by the station's clock.
    #[serde(rename = "startedAt")]
    #[schema(format = DateTime)]
    started_at: String,
    /// When it stops playing: the file may be longer. Missing if that is unknown.
    #[serde(rename = "endsAt", skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    ends_at: Option<String>,
    /// Whether it says that nothing is known; else missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

impl<'a> Track<'a> {
    fn new(item: &'a Item, station: &'a Station) -> Self {
        let local = local_start(item, station);
        let played = rounded(item.played);
        // What ends beyond all calendars is of no known length.
        let ends_at = Duration::try_milliseconds(played as i64)
            .filter(|_| played > 0.0)
            .and_then(|played| local.checked_add_signed(played))
            .map(|end| end.to_rfc3339_opts(SecondsFormat::Secs, false));
        Self {
            track: &item.title,
            r#type: &item.kind,
            album: &item.album,
            artist: &item.artist,
            length: rounded(item.length),
            timestamp_utc: timestamp_utc(item),
            timestamp_cst: timestamp_cst(item, station),
            started_at: local.to_rfc3339_opts(SecondsFormat::Secs, false),
            ends_at,
            stale: false,
        }
    }
}

/// The message that listeners get when nothing is known any more.
pub fn nothing_known(station: &Station, now: DateTime<Utc>) -> Box<RawValue> {
    let nothing = Item {
        start: now,
        ..Item::default()
    };
    let nothing = nothing.shown(station);
    let track = Track {
        stale: true,
        ..Track::new(&nothing, station)
    };
    to_raw_value(&track).expect("strings and numbers always serialize")
}

/// Whether a message says that nothing is known.
pub fn is_stale(message: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Shown {
        #[serde(default)]
        stale: bool,
    }
    serde_json::from_str(message.get()).is_ok_and(|shown: Shown| shown.stale)
}

/// The types that everybody may see, for the descriptions of what is shown.
pub(super) fn kinds() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Whether it is a song, or something else"))
        .enum_values(Some([Item::SONG, MASKED]))
        .build()
}

pub(super) fn timestamp_utc(item: &Item) -> String {
    item.start.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The documented field of an existing contract: the station's wall clock, with
/// a literal Z.
pub(super) fn timestamp_cst(item: &Item, station: &Station) -> String {
    let local = local_start(item, station);
    local.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The start by the station's clock. The first and the last day of all calendars
/// have no time of every zone: what starts there is shown a day off.
fn local_start(item: &Item, station: &Station) -> DateTime<Tz> {
    let day = Duration::days(1);
    let (first, last) = (
        DateTime::<Utc>::MIN_UTC + day,
        DateTime::<Utc>::MAX_UTC - day,
    );
    item.start
        .clamp(first, last)
        .with_timezone(&station.timezone)
}

/// To 0.1 ms; whatever is no length is 0.
pub(super) fn rounded(length: f64) -> f64 {
    let tenth = (length * 10.0).round() / 10.0;
    if tenth.is_finite() && tenth > 0.0 {
        tenth
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::LENGTH_MOST;
    use super::*;

    fn station() -> Station {
        Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        }
    }

    fn item(kind: &str, start: &str) -> Item {
        Item {
            airing: uuid::Uuid::nil(),
            id: "1".into(),
            kind: kind.into(),
            title: "I Know It's Over".into(),
            artist: "The Smiths".into(),
            album: "The Queen Is Dead".into(),
            length: 347_893.3,
            played: 347_893.3,
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

    #[test]
    fn no_length_and_no_start_breaks_a_message() {
        let usual = "2024-09-24T00:32:22Z".parse().unwrap();
        for (length, start, ends) in [
            (1e300, usual, false),
            (f64::MAX, usual, false),
            (f64::NEG_INFINITY, usual, false),
            (1.0, DateTime::<Utc>::MIN_UTC, true),
            (LENGTH_MOST, DateTime::<Utc>::MAX_UTC, true),
        ] {
            let item = Item {
                length,
                played: length,
                start,
                ..item("SONG", "2024-09-24T00:32:22Z")
            };
            let message = item.message(&station());
            assert_eq!(message.get().contains("endsAt"), ends, "{message}");
        }
    }
}

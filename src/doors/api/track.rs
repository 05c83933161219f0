//! A backend's track: what it may say, and what it is to the rest of the server.
//! Knows no room's rules but how big a message may be.

use chrono::{DateTime, Duration, Utc};
use tracing::info;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use crate::core::error::Error;
use crate::core::name::RoomName;
use crate::doors::{FieldError, Fields, Problem, parse_json};
use crate::nowplaying::{Change, Item, LENGTH_MOST, NEXT, NOW_PLAYING, can_start, clean};

/// When what comes next starts, if a backend does not say it: later than what is
/// on, and starts are told in whole seconds.
const SOON: Duration = Duration::seconds(1);

/// A track of a backend, in the rooms of `/metadata`. One that was heard here can
/// be posted as it is.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostedTrack {
    /// The title.
    #[schema(example = "I Know It's Over")]
    track: String,
    #[serde(default)]
    artist: String,
    #[serde(default)]
    album: String,
    /// In milliseconds, at most a day; 0 where unknown.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86_400_000, example = 347_893.3)]
    length: f64,
    /// `SONG` if it is missing; everything else is shown as `LINK`.
    #[serde(default)]
    #[schema(default = "SONG")]
    r#type: String,
    /// When it started, or starts; now or soon if it is missing. At most a day ahead.
    #[serde(default, rename = "timestampUTC")]
    #[schema(value_type = Option<String>, format = DateTime)]
    start: Option<DateTime<Utc>>,
    /// The same, where there is no `timestampUTC`.
    #[serde(default, rename = "startedAt")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<DateTime<Utc>>,
}

/// The fields of a track. The last two follow from the others and are ignored: a backend may post a
/// track as a listener received it.
const FIELDS: [&str; 9] = [
    "track",
    "artist",
    "album",
    "length",
    "type",
    START,
    "startedAt",
    "timestampCST",
    "endsAt",
];

const START: &str = "timestampUTC";
const TEXT: &str = "a string";
const LENGTH: &str = "a number of milliseconds";
const TIME: &str = "a time such as 2026-11-21T18:00:00Z";

impl PostedTrack {
    fn parse(body: &[u8]) -> Result<Self, FieldError> {
        let mut fields = Fields::of("a track", parse_json(body)?)?;
        let track = Self {
            track: fields.required("track", TEXT)?,
            artist: fields.optional("artist", TEXT)?.unwrap_or_default(),
            album: fields.optional("album", TEXT)?.unwrap_or_default(),
            length: fields.optional("length", LENGTH)?.unwrap_or_default(),
            r#type: fields
                .optional("type", TEXT)?
                .unwrap_or_else(|| Item::SONG.to_owned()),
            start: fields.optional(START, TIME)?,
            started_at: fields.optional("startedAt", TIME)?,
        };
        for ignored in ["timestampCST", "endsAt"] {
            fields.take(ignored)?;
        }
        fields.finish(&FIELDS)?;
        Ok(track)
    }
}

/// A track goes the way of the feed's: masked, logged, and taken back in time.
///
/// What the room would refuse later is refused here, before anything is told:
/// nobody would hear of it, and the play log would say that it was on.
pub(super) fn tell(
    api: &Api,
    room: &RoomName,
    body: &[u8],
    message_most: usize,
) -> Result<(), Problem> {
    let now = Utc::now();
    let unsaid = match room.as_str() {
        NEXT => now + SOON,
        _ => now,
    };
    let item = item(body, now, unsaid)?;
    if item.message(&api.station).get().len() > message_most {
        return Err(Error::TooBig(message_most).into());
    }
    let item = item.capped();
    let change: fn(Item) -> Change = match room.as_str() {
        NOW_PLAYING => Change::Current,
        NEXT => Change::Next,
        _ => {
            let known = format!("{NOW_PLAYING}, {NEXT}");
            let room = room.to_string();
            return Err(Error::UnknownRoom { room, known }.into());
        }
    };
    log(room, &item);
    (api.tracks)(change(item));
    Ok(())
}

/// An advertiser's name is in no log.
fn log(room: &RoomName, item: &Item) {
    if item.is_song() {
        info!(%room, title = item.title, artist = item.artist, "a backend has told of a song");
    } else {
        info!(%room, "a backend has told of what is no song");
    }
}

/// The item that is told now; `unsaid` is its start where it has none.
pub(super) fn item(
    body: &[u8],
    now: DateTime<Utc>,
    unsaid: DateTime<Utc>,
) -> Result<Item, Problem> {
    let track = PostedTrack::parse(body)?;
    if !(0.0..=LENGTH_MOST).contains(&track.length) {
        let wanted = format!("{LENGTH} from 0 to {LENGTH_MOST}");
        return Err(FieldError::wrong("`length`", &wanted, &track.length).into());
    }
    let start = track.start.or(track.started_at).unwrap_or(unsaid);
    if !can_start(start, now) {
        let wanted = "a time after 1970 and at most a day ahead";
        return Err(FieldError::wrong("the start", wanted, &start).into());
    }
    Ok(Item {
        airing: Uuid::nil(),
        id: String::new(),
        kind: clean(&track.r#type),
        title: clean(&track.track),
        artist: clean(&track.artist),
        album: clean(&track.album),
        length: track.length,
        played: track.length,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_and_a_length_are_what_can_be() {
        let now = "2026-03-01T01:00:00Z".parse().unwrap();
        for (more, taken) in [
            ("", true),
            (r#", "length": 86400000"#, true),
            (r#", "length": 86400001"#, false),
            (r#", "length": 1e300"#, false),
            (r#", "length": -1"#, false),
            (r#", "timestampUTC": null"#, true),
            (r#", "timestampUTC": "2026-03-02T00:59:59Z""#, true),
            (r#", "timestampUTC": "2026-03-02T01:00:01Z""#, false),
            (r#", "timestampUTC": "1970-01-02T00:00:00Z""#, true),
            (r#", "timestampUTC": "1969-12-31T23:59:59Z""#, false),
            (r#", "timestampUTC": "+262142-12-31T00:00:00Z""#, false),
            (r#", "timestampUTC": "-262143-01-01T00:00:00Z""#, false),
            (r#", "timestampUTC": "yesterday""#, false),
            (
                r#", "startedAt": "2026-02-28T19:00:00-06:00", "endsAt": 1"#,
                true,
            ),
            (r#", "startedAt": "2026-03-05T19:00:00-06:00""#, false),
            (r#", "lenght": 1"#, false),
        ] {
            let body = format!(r#"{{"track": "T"{more}}}"#);
            assert_eq!(item(body.as_bytes(), now, now).is_ok(), taken, "{body}");
        }
    }
}

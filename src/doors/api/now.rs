//! `GET /api/now-playing`: what is on, the last song, and what comes next.
//! Reads what the rooms retain, so that it says what listeners were told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Api;
use super::cached::cached;
use crate::core::event::Event;
use crate::core::name::{NamespaceName, RoomName};
use crate::nowplaying::{CURRENT_KEY, NAMESPACE, NEXT, NOW_PLAYING, SONG_KEY, Validity};

/// How long an answer may be kept, in seconds: less than anybody notices, and a
/// CDN asks twice a second at most, however many listeners it has.
const MAX_AGE: u32 = 2;

/// What is playing.
#[derive(Serialize, ToSchema)]
pub(super) struct NowPlaying<'a> {
    /// What is on, be it a song or not; null before the first track.
    #[schema(value_type = Option<Track>)]
    now: Option<&'a RawValue>,
    /// The last song, which may be what is on.
    #[schema(value_type = Option<Track>)]
    song: Option<&'a RawValue>,
    /// What comes next, where the studio has said it.
    #[schema(value_type = Option<Track>)]
    next: Option<&'a RawValue>,
    /// Whether nothing is known, since nothing new came for long.
    stale: bool,
}

/// A track, as listeners get it in events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `nowplaying` writes")]
struct Track {
    /// The title, or the station's text where it is no song.
    #[schema(example = "I Know It's Over")]
    track: String,
    /// `SONG`, or `LINK` for everything else.
    r#type: String,
    #[schema(example = "The Queen Is Dead")]
    album: String,
    #[schema(example = "The Smiths")]
    artist: String,
    /// In milliseconds; 0 where unknown.
    #[schema(example = 347_893.3)]
    length: f64,
    /// When it started.
    #[schema(rename = "timestampUTC", format = DateTime)]
    timestamp_utc: String,
    /// The station's wall clock, written with a literal Z.
    #[schema(rename = "timestampCST")]
    timestamp_cst: String,
    /// When it started, by the station's clock.
    #[schema(rename = "startedAt", format = DateTime)]
    started_at: String,
    /// When it ends; missing where the length is unknown.
    #[schema(rename = "endsAt", format = DateTime)]
    ends_at: Option<String>,
    /// Whether it says that nothing is known; else missing.
    stale: Option<bool>,
}

/// What is playing now.
#[utoipa::path(
    get,
    path = "/api/now-playing",
    responses((status = 200, body = NowPlaying), (status = 304, description = "As before")),
)]
pub(super) async fn now_playing(State(api): State<Api>, headers: HeaderMap) -> Response {
    let current = retained(&api, NOW_PLAYING, CURRENT_KEY);
    let song = retained(&api, NOW_PLAYING, SONG_KEY);
    let next = retained(&api, NEXT, CURRENT_KEY);
    let shown = NowPlaying {
        now: current.as_deref().map(message),
        song: song.as_deref().map(message),
        next: next
            .as_deref()
            .map(message)
            .filter(|next| is_to_come(next, current.as_deref())),
        stale: current.as_deref().map(validity).is_some_and(|v| v.stale),
    };
    let body = serde_json::to_string(&shown).expect("raw JSON always serializes");
    cached(&headers, "application/json", MAX_AGE, body)
}

fn retained(api: &Api, room: &str, key: &str) -> Option<Arc<Event>> {
    let namespace = NamespaceName::parse(NAMESPACE).expect("a name written here is one");
    let room = RoomName::parse(room).expect("a name written here is one");
    api.hub.retained(&namespace, &room, key)
}

fn message(event: &Event) -> &RawValue {
    &event.publication.message
}

fn validity(event: &Event) -> Validity {
    Validity::of(message(event)).unwrap_or_default()
}

/// What was to come next may be on by now, or be over.
fn is_to_come(next: &RawValue, current: Option<&Event>) -> bool {
    let Some(current) = current.map(validity) else {
        return true;
    };
    let next = Validity::of(next).unwrap_or_default();
    !current.stale && next.start > current.start
}

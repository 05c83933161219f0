//! `GET /api/now-playing`: what is on, the last song, and what comes next.
//! Reads what the rooms retain, so that it says what listeners were told.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::cached::{Pieces, cached};
use super::{Api, NoParameters};
use crate::core::event::Event;
use crate::core::name::{NamespaceName, RoomName};
use crate::nowplaying::{CURRENT_KEY, NAMESPACE, NEXT, NOW_PLAYING, SONG_KEY, Track, is_stale};

/// How long an answer may be kept, in seconds: less than anybody notices, and a
/// CDN asks twice a second at most, however many listeners it has.
const MAX_AGE: u32 = 2;

/// What is playing.
#[derive(Serialize, ToSchema)]
pub(super) struct NowPlaying<'a> {
    /// What is on, be it a song or not; null before the first track.
    #[schema(required = true, value_type = Option<Track<'static>>)]
    now: Option<&'a RawValue>,
    /// The last song, which may be what is on.
    #[schema(required = true, value_type = Option<Track<'static>>)]
    song: Option<&'a RawValue>,
    /// What comes next, where the studio has said it.
    #[schema(required = true, value_type = Option<Track<'static>>)]
    next: Option<&'a RawValue>,
    /// Whether nothing is known, since nothing new came for long.
    stale: bool,
}

/// What is playing now.
#[utoipa::path(
    get,
    path = "/api/now-playing",
    responses(
        (status = 200, description = "What is on, the last song, and what is next", body = NowPlaying),
        (status = 304, description = "As before"),
        (status = 400, description = "An unknown parameter"),
    ),
)]
pub(super) async fn now_playing(
    State(api): State<Api>,
    _: NoParameters,
    headers: HeaderMap,
) -> Response {
    let current = retained(&api, NOW_PLAYING, CURRENT_KEY);
    let song = retained(&api, NOW_PLAYING, SONG_KEY);
    let next = retained(&api, NEXT, CURRENT_KEY);
    let stale = current
        .as_deref()
        .is_some_and(|current| is_stale(message(current)));
    let shown = NowPlaying {
        now: current.as_deref().map(message),
        song: song.as_deref().map(message),
        next: next
            .as_deref()
            .map(message)
            .filter(|next| !stale && !is_stale(next)),
        stale,
    };
    let mut body = Pieces::default();
    serde_json::to_writer(&mut body, &shown).expect("raw JSON always serializes");
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

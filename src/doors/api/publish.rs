//! Publishing over HTTP: `POST /api/:namespace/:room` with the namespace's token,
//! and `POST /bus-message/:room`. Who may is the hub's matter.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, ToSchema};

use super::Api;
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::hub::Outside;
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::Publisher;
use crate::doors::{Problem, Unread, read_body};
use crate::net::PeerAddr;
use crate::net::peer::sender;
use crate::nowplaying::{Change, Item, NAMESPACE, NEXT, NOW_PLAYING};

/// The code of a body that is not what it should be.
const UNREADABLE: &str = "invalid_request";

/// The code of a body that did not come in time.
const TOO_SLOW: &str = "too_slow";

/// What a body may have beyond the biggest message, in bytes: the blanks around it,
/// and what a track's names take when they are written with escapes.
const BODY_SLACK: usize = 4 * 1024;

/// How the description says what is needed to publish.
pub(super) struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// A track of a backend, in the rooms of `/metadata`.
#[derive(Deserialize, ToSchema)]
struct Track {
    /// The title.
    track: String,
    #[serde(default)]
    artist: String,
    #[serde(default)]
    album: String,
    /// In milliseconds; 0 where unknown.
    #[serde(default)]
    length: f64,
    /// `SONG` if it is missing; everything else is shown as `LINK`.
    #[serde(default = "song")]
    r#type: String,
    /// When it started; now if it is missing.
    #[serde(default, rename = "timestampUTC")]
    #[schema(value_type = Option<String>, format = DateTime)]
    start: Option<DateTime<Utc>>,
}

fn song() -> String {
    Item::SONG.to_owned()
}

/// Publishes in a room, with the token of its namespace.
///
/// The body is the message, any JSON; in the rooms of `/metadata` a track.
#[utoipa::path(
    post,
    path = "/api/{namespace}/{room}",
    params(
        ("namespace" = String, Path, description = "Without its slash, as in `bus`"),
        ("room" = String, Path),
    ),
    request_body(content = serde_json::Value, description = "The message: any JSON"),
    security(("token" = [])),
    responses(
        (status = 200, description = "Published: `{status, room, offset}`"),
        (status = 202, description = "A track, which the studio's feed may overtake"),
        (status = 400, description = "Problem details (RFC 9457), as all that follow"),
        (status = 401, description = "No token"),
        (status = 403, description = "Not the token, or nobody publishes there over HTTP"),
        (status = 404, description = "No such namespace or room"),
        (status = 408, description = "The body took too long"),
        (status = 413, description = "The message is too big"),
        (status = 503, description = "Busy, or stopping"),
    ),
)]
pub(super) async fn to_room(
    State(api): State<Api>,
    Path((namespace, room)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let namespace = namespace_of(&namespace)?;
    api.hub.authorise(&namespace, bearer(&headers))?;
    let room = RoomName::parse(&room).map_err(Error::from)?;
    let body = body_of(&api, &namespace, body).await?;
    if namespace.as_str() == NAMESPACE {
        return track(&api, &room, &body);
    }
    let offset = publish(&api, &namespace, &room, &body).await?;
    let done = json!({ "status": "ok", "room": room, "offset": offset });
    Ok(axum::Json(done).into_response())
}

/// Publishes in a room of `/bus`.
///
/// For private addresses and no web page, which sends an `Origin`; others need
/// the token of `/bus`.
#[utoipa::path(
    post,
    path = "/bus-message/{room}",
    params(("room" = String, Path)),
    request_body(content = serde_json::Value, description = "The message: any JSON"),
    security((), ("token" = [])),
    responses((status = 200, body = str, description = "`OK`")),
)]
pub(super) async fn to_bus(
    State(api): State<Api>,
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<&'static str, Problem> {
    let namespace = namespace_of("bus")?;
    let private = sender(peer, &headers, &api.trusted).is_private();
    if !private || headers.contains_key(header::ORIGIN) {
        api.hub.authorise(&namespace, bearer(&headers))?;
    }
    let room = RoomName::parse(&room).map_err(Error::from)?;
    let body = body_of(&api, &namespace, body).await?;
    publish(&api, &namespace, &room, &body).await?;
    Ok("OK")
}

fn namespace_of(name: &str) -> Result<NamespaceName, Problem> {
    let unknown = |_| Error::UnknownNamespace(format!("/{name}"));
    Ok(NamespaceName::parse(&format!("/{name}")).map_err(unknown)?)
}

/// The body, of somebody who may publish: what is more than a message is not read.
async fn body_of(api: &Api, namespace: &NamespaceName, body: Body) -> Result<Bytes, Problem> {
    let most = message_most(api, namespace)?;
    let read = read_body(body, most + BODY_SLACK).await;
    read.map_err(|unread| match unread {
        Unread::TooBig => Error::TooBig(most).into(),
        Unread::Late => Problem::new(unread.status(), TOO_SLOW, unread),
        Unread::Broken => Problem::new(unread.status(), UNREADABLE, unread),
    })
}

/// The biggest message of a namespace, in bytes.
fn message_most(api: &Api, namespace: &NamespaceName) -> Result<usize, Error> {
    let mut namespaces = api.hub.namespaces();
    let found = namespaces.find(|found| found.name == *namespace);
    let unknown = || Error::UnknownNamespace(namespace.to_string());
    Ok(found.ok_or_else(unknown)?.limits.message_bytes)
}

fn unreadable(why: impl ToString) -> Problem {
    Problem::bad_request(UNREADABLE, why)
}

/// What stands behind `Authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn publish(
    api: &Api,
    namespace: &NamespaceName,
    room: &RoomName,
    body: &[u8],
) -> Result<Offset, Problem> {
    let message: Box<RawValue> = serde_json::from_slice(body).map_err(unreadable)?;
    let (tell, told) = oneshot::channel();
    let from = Outside {
        publisher: Publisher::Http,
        namespace,
        room: room.clone(),
        sender: Nickname::http(),
        message,
        retain: &[],
    };
    let done = |published| {
        // Whoever asked may have gone.
        let _ = tell.send(published);
    };
    api.hub.publish(from, Box::new(done));
    match told.await {
        Ok(Ok(offset)) => Ok(offset),
        Ok(Err(error)) => Err(error.into()),
        // The broker has dropped it: it is stopping.
        Err(_) => Err(Error::Closing.into()),
    }
}

/// A track goes the way of the feed's: masked, logged, and taken back in time.
fn track(api: &Api, room: &RoomName, body: &[u8]) -> Result<Response, Problem> {
    let track: Track = serde_json::from_slice(body).map_err(unreadable)?;
    if !track.length.is_finite() || track.length < 0.0 {
        return Err(unreadable(
            "`length` is a number of milliseconds, 0 or more",
        ));
    }
    let item = Item {
        id: String::new(),
        kind: track.r#type,
        title: track.track,
        artist: track.artist,
        album: track.album,
        length: track.length,
        start: track.start.unwrap_or_else(Utc::now),
    };
    let change = match room.as_str() {
        NOW_PLAYING => Change::Current(item),
        NEXT => Change::Next(item),
        _ => {
            let known = format!("{NOW_PLAYING}, {NEXT}");
            let room = room.to_string();
            return Err(Error::UnknownRoom { room, known }.into());
        }
    };
    (api.tracks)(change);
    let accepted = axum::Json(json!({ "status": "ok", "room": room }));
    Ok((StatusCode::ACCEPTED, accepted).into_response())
}

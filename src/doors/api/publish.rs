//! Publishing over HTTP: `POST /api/:namespace/:room` with the namespace's token,
//! and `POST /bus-message/:room`. Who may is the hub's matter.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::debug;
use utoipa::ToSchema;

use super::described::{Posted, Unpublished};
use super::track;
use super::{Api, NoParameters};
use crate::core::error::Error;
use crate::core::event::{Offset, To};
use crate::core::hub::{Granted, Outside};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::Publisher;
use crate::doors::{Problem, Unread, bearer, parse_json, read_text};
use crate::net::PeerAddr;
use crate::net::access::AccessDenied;
use crate::nowplaying::NAMESPACE;

/// What a body may have beyond the biggest message, in bytes: the blanks around it,
/// and what a track's names take when they are written with escapes.
const BODY_SLACK: usize = 4 * 1024;

/// What became of a publication.
#[derive(Serialize, ToSchema)]
pub(super) struct Published {
    /// Its place in the room.
    #[schema(value_type = String, example = "sd12wq0q2cop-1")]
    offset: Offset,
    /// Where it was published.
    #[schema(value_type = String, example = "lobby")]
    room: RoomName,
    status: Done,
}

/// What becomes of a track: it goes to the room the way of the studio's feed.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Where it goes.
    #[schema(value_type = String, example = "now-playing")]
    room: RoomName,
    status: Done,
}

/// That it was not refused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Done {
    Ok,
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
    request_body(content = Posted, description = "In the rooms of `/metadata` a track, else the message"),
    security(("token" = [])),
    responses(
        (status = 200, description = "Published", body = Published),
        (status = 202, description = "A track, which the studio's feed may overtake", body = Accepted),
        Unpublished,
    ),
)]
pub(super) async fn to_room(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    _: NoParameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Path((namespace, room)) = path?;
    let namespace = namespace_of(&namespace)?;
    let room = RoomName::parse(&room).map_err(Error::from)?;
    let granted = authorise(&api, &namespace, &room, &headers).await?;
    let body = body_of(&api, &namespace, &headers, body).await?;
    if namespace.as_str() == NAMESPACE {
        let most = message_most(&api, &namespace)?;
        track::tell(&api, &room, &body, most)?;
        let status = Done::Ok;
        let accepted = axum::Json(Accepted { room, status });
        return Ok((StatusCode::ACCEPTED, accepted).into_response());
    }
    let offset = publish(&api, &namespace, &room, &body, granted).await?;
    let published = Published {
        offset,
        room,
        status: Done::Ok,
    };
    Ok(axum::Json(published).into_response())
}

/// Publishes in a room of `/bus`.
///
/// Requests from private addresses need no token, unless they have an `Origin` (web pages) or
/// `--require-token` is on. Other requests need the token of `/bus`.
#[utoipa::path(
    post,
    path = "/bus-message/{room}",
    params(("room" = String, Path)),
    request_body(content = serde_json::Value, description = "The message: any JSON"),
    security((), ("token" = [])),
    responses((status = 200, body = str, description = "`OK`"), Unpublished),
)]
pub(super) async fn to_bus(
    State(api): State<Api>,
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<&'static str, Problem> {
    let Path(room) = path?;
    let namespace = namespace_of("bus")?;
    let room = RoomName::parse(&room).map_err(Error::from)?;
    let page = headers.contains_key(header::ORIGIN);
    let access = api.access.as_ref().filter(|_| !page);
    let granted = match access.map(|access| access.check(peer, &headers)) {
        Some(Ok(())) => Granted::default(),
        Some(Err(denied @ AccessDenied::HostName)) if bearer(&headers).is_none() => {
            return Err(Problem::new(StatusCode::FORBIDDEN, denied.code(), denied));
        }
        _ => authorise(&api, &namespace, &room, &headers).await?,
    };
    let body = body_of(&api, &namespace, &headers, body).await?;
    publish(&api, &namespace, &room, &body, granted).await?;
    Ok("OK")
}

fn namespace_of(name: &str) -> Result<NamespaceName, Problem> {
    let unknown = |_| Error::UnknownNamespace(format!("/{name}"));
    Ok(NamespaceName::parse(&format!("/{name}")).map_err(unknown)?)
}

/// The body, of somebody who may publish: what is more than a message is not read.
async fn body_of(
    api: &Api,
    namespace: &NamespaceName,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Problem> {
    let most = message_most(api, namespace)?;
    let read = read_text(headers, body, most + BODY_SLACK).await;
    read.map_err(|unread| match unread {
        Unread::TooBig => Error::TooBig(most).into(),
        unread @ (Unread::Late
        | Unread::Broken
        | Unread::UnknownCharset
        | Unread::NotInCharset(_)) => Problem::new(unread.status(), unread.code(), unread),
    })
}

/// The biggest message of a namespace, in bytes.
fn message_most(api: &Api, namespace: &NamespaceName) -> Result<usize, Error> {
    let mut namespaces = api.hub.namespaces();
    let found = namespaces.find(|found| found.name == *namespace);
    let unknown = || Error::UnknownNamespace(namespace.to_string());
    Ok(found.ok_or_else(unknown)?.limits.message_bytes)
}

/// Whether the request has the token that it takes; counted where it has not.
async fn authorise(
    api: &Api,
    namespace: &NamespaceName,
    room: &RoomName,
    headers: &HeaderMap,
) -> Result<Granted, Error> {
    let allowed = api.hub.authorise(namespace, room, bearer(headers)).await;
    if let Err(error) = &allowed {
        let reason = error.code();
        metrics::counter!("roomcast_refused_total", "door" => "api", "reason" => reason)
            .increment(1);
        debug!(%namespace, reason, "a publication was refused");
    }
    allowed
}

async fn publish(
    api: &Api,
    namespace: &NamespaceName,
    room: &RoomName,
    body: &[u8],
    granted: Granted,
) -> Result<Offset, Problem> {
    let message = parse_json(body)?.to_owned();
    let (tell, told) = oneshot::channel();
    let from = Outside {
        publisher: Publisher::Http,
        namespace,
        room: room.clone(),
        sender: Nickname::http(),
        to: To::Everybody,
        message,
        retain: &[],
        granted,
        same: None,
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

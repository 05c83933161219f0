//! The backend's port: writes to a client, closes it, puts it into rooms, and tells of
//! it. Translates only; who may is a matter of the key.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use tokio::sync::oneshot;

use super::Webhook;
use super::connections::Connection;
use super::early::EarlyError;
use super::elsewhere::{self, Wish};
use super::id::Id;
use super::outlet::frame;
use super::payload::Payload;
use super::protocol::Answer;
use crate::core::error::Error;
use crate::core::event::To;
use crate::core::hub::{Granted, Outside};
use crate::core::name::Nickname;
use crate::core::namespace::Publisher;
use crate::doors::{Unread, bearer, read_body, read_text};
use crate::net::PeerAddr;

/// What is not for text (RFC 2046, section 4.5.1).
const BINARY: &str = "application/octet-stream";

pub(super) fn router(door: Arc<Webhook>) -> Router {
    Router::new()
        .route("/{id}", get(about).put(write).delete(close))
        .route("/{id}/rooms/{namespace}/{room}", put(join).delete(leave))
        .method_not_allowed_fallback(async || {
            let why = "this endpoint takes other methods, which the header `Allow` names";
            Answer::bad(StatusCode::METHOD_NOT_ALLOWED, why)
        })
        .fallback(async |method: Method| match method {
            Method::PUT | Method::DELETE => Answer::not_found(),
            _ => Answer::bad(StatusCode::BAD_REQUEST, "there is nothing here"),
        })
        .layer(map_response_with_state(door.clone(), in_style))
        .with_state(door)
}

/// Sets the status to 200 in the style of WSAAS, whose backends look at the `code`.
async fn in_style(State(door): State<Arc<Webhook>>, mut answer: Response) -> Response {
    if door.is_wsaas {
        *answer.status_mut() = StatusCode::OK;
    }
    answer
}

/// Somebody who may do all this.
struct Backend;

impl FromRequestParts<Arc<Webhook>> for Backend {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Webhook>) -> Result<Self, Answer> {
        let refused = |status, why: &str| Err(Answer::refused(status, why));
        match (&door.key, bearer(&parts.headers)) {
            (None, _) if parts.headers.contains_key(header::ORIGIN) => refused(
                StatusCode::FORBIDDEN,
                "web pages can't use this endpoint without a key",
            ),
            (None, _) => {
                let PeerAddr(peer) = parts.extensions.get().expect("every request has its peer");
                match door.access.check(*peer, &parts.headers) {
                    Ok(()) => Ok(Self),
                    Err(denied) => refused(StatusCode::FORBIDDEN, &denied.to_string()),
                }
            }
            (Some(key), Some(offered)) if key.is(offered) => Ok(Self),
            (Some(_), Some(_)) => refused(StatusCode::FORBIDDEN, "this is not the key"),
            (Some(_), None) => refused(
                StatusCode::UNAUTHORIZED,
                "the key is needed, as `Authorization: Bearer KEY`",
            ),
        }
    }
}

async fn write(
    State(door): State<Arc<Webhook>>,
    _: Backend,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer, Answer> {
    let id = named(path)?;
    let declared = headers.get(header::CONTENT_TYPE);
    let essence = declared.and_then(|kind| kind.to_str().ok()?.split(';').next());
    let is_binary = essence.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(BINARY));
    let body = match is_binary || door.is_wsaas {
        true => read_body(body, door.message_most).await,
        false => read_text(&headers, body, door.message_most).await,
    };
    let body = body.map_err(|unread| match unread {
        Unread::TooBig => Answer::too_long(),
        other @ (Unread::Late
        | Unread::Broken
        | Unread::UnknownCharset
        | Unread::NotInCharset(_)) => Answer::bad(other.status(), other),
    })?;
    push(&door, &id, &Payload::of_body(&body, is_binary)).await?;
    Ok(Answer::ok())
}

async fn close(
    State(door): State<Arc<Webhook>>,
    _: Backend,
    path: Result<Path<String>, PathRejection>,
) -> Result<Answer, Answer> {
    if let Some(id) = push(&door, &named(path)?, &Payload::Close).await? {
        // From here on it is not found: nobody is told that something reached it.
        door.connections.forget(&id);
    }
    Ok(Answer::ok())
}

async fn about(
    State(door): State<Arc<Webhook>>,
    _: Backend,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Answer> {
    fulfil(&door, &named(path)?, &Wish::About).await
}

type InRoom = Result<Path<(String, String, String)>, PathRejection>;

async fn join(
    State(door): State<Arc<Webhook>>,
    _: Backend,
    path: InRoom,
) -> Result<Response, Answer> {
    let (id, namespace, room) = named(path)?;
    fulfil(&door, &id, &Wish::Join { namespace, room }).await
}

async fn leave(
    State(door): State<Arc<Webhook>>,
    _: Backend,
    path: InRoom,
) -> Result<Response, Answer> {
    let (id, namespace, room) = named(path)?;
    fulfil(&door, &id, &Wish::Leave { namespace, room }).await
}

/// Does it, on whichever node the connection is.
async fn fulfil(door: &Webhook, id: &str, wish: &Wish) -> Result<Response, Answer> {
    let id = Id::parse(id).ok_or_else(Answer::not_found)?;
    match find(door, &id).await? {
        Some(connection) => Ok(wish.fulfil(&connection).await?.into_response()),
        None => elsewhere::ask(door, &id, wish).await,
    }
}

/// What the path names.
fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Answer> {
    let why = "the path is not UTF-8";
    let Path(named) = path.map_err(|_| Answer::bad(StatusCode::BAD_REQUEST, why))?;
    Ok(named)
}

/// The connection, if it is on this node; else it may be on another one.
async fn find(door: &Webhook, id: &Id) -> Result<Option<Arc<Connection>>, Answer> {
    let found = door.connections.find(id).await;
    match found.is_some() || door.hub.has_other_nodes() {
        true => Ok(found),
        false => Err(Answer::not_found()),
    }
}

/// Sends a payload to a client, or closes the client; returns the id if the client is connected. If
/// the backend has not accepted the client yet, the payload is kept until then; the request is
/// answered at once, because the backend may answer the `POST` only afterwards.
async fn push(door: &Webhook, id: &str, payload: &Payload) -> Result<Option<Id>, Answer> {
    let id = Id::parse(id).ok_or_else(Answer::not_found)?;
    match door.connections.keep(&id, frame(payload, door.is_wsaas)) {
        Ok(()) => return Ok(None),
        Err(EarlyError::Closed) => return Err(Answer::not_found()),
        Err(EarlyError::Full) => return Err(Error::Busy.into()),
        Err(EarlyError::Connected) => {}
    }
    find(door, &id).await?;
    publish(door, &id, payload).await?;
    Ok(Some(id))
}

/// Publishes in the connection's own room.
async fn publish(door: &Webhook, id: &Id, payload: &Payload) -> Result<(), Answer> {
    elsewhere::patiently(door, || publish_once(door, id, payload)).await
}

async fn publish_once(door: &Webhook, id: &Id, payload: &Payload) -> Result<(), Error> {
    let (tell, told) = oneshot::channel();
    let from = Outside {
        publisher: Publisher::Http,
        namespace: &door.namespace,
        room: id.room().clone(),
        sender: Nickname::http(),
        to: To::Everybody,
        message: payload.message(),
        retain: &[],
        granted: Granted::default(),
        same: None,
    };
    // Whoever asked may have gone.
    door.hub
        .publish(from, Box::new(|done| drop(tell.send(done))));
    // The broker has dropped it: it is stopping.
    told.await.unwrap_or(Err(Error::Closing)).map(drop)
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let head = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (self.status, head, self.json()).into_response()
    }
}

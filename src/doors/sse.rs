//! Server-sent events: `GET /events/:namespace/:room` (HTML standard, "Server-sent
//! events"). A browser's EventSource recovers by itself what it missed.

mod outlet;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{SecondsFormat, Utc};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Problem, method_not_allowed, source_of};
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomName};
use crate::core::namespace::{Namespace, Protocol};
use crate::core::room::Joined;
use crate::core::source::ClientOrigin;
use outlet::SseOutlet;

/// How often something is said where nothing happens: proxies close after a
/// minute, and some mobile networks after half of one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how long a browser comes back, in milliseconds: so much, and up to as
/// much more by chance, so that a restart is no storm.
const RETRY: u64 = 1_000;
const RETRY_JITTER: u64 = 4_000;

/// A proxy may keep nothing back (nginx, "X-Accel-Buffering").
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The route.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/events/{namespace}/{room}", get(listen))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(hub)
}

async fn listen(
    State(hub): State<Arc<Hub>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let Path((namespace, room)) = path?;
    let since = last_event_id(&headers, query.as_deref().unwrap_or_default());
    let origin = source_of(&extensions).into();
    let listener = open(&hub, origin, &namespace, &room, since).await?;
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (UNBUFFERED, "no"),
    ];
    Ok((head, listener.into_body()).into_response())
}

/// The query parameters in which clients that cannot set headers send the id of the last event:
/// this server's own, and those of EventSource polyfills (`event-source-polyfill` and others).
const LAST_EVENT_ID: [&str; 4] = [
    "last_event_id",
    "lastEventId",
    "lastEventID",
    "evs_last_event_id",
];

/// The position from which a returning client recovers. The header takes precedence over the
/// query, and a later parameter over an earlier one: a polyfill appends its own to the URL that
/// the page gave it. Values that are not offsets are ignored.
fn last_event_id(headers: &HeaderMap, query: &str) -> Option<Offset> {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let ids = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| LAST_EVENT_ID.contains(&&**name))
        .filter_map(|(_, id)| id.parse().ok());
    header.and_then(|id| id.parse().ok()).or_else(|| ids.last())
}

async fn open(
    hub: &Arc<Hub>,
    origin: ClientOrigin,
    namespace: &str,
    room: &str,
    since: Option<Offset>,
) -> Result<Listener, Error> {
    let unknown = || Error::UnknownNamespace(format!("/{namespace} with rooms to listen to"));
    let name = NamespaceName::parse(&format!("/{namespace}")).map_err(|_| unknown())?;
    let room = RoomName::parse(room)?;
    let has_rooms = |n: &Namespace| n.name == name && n.protocol == Protocol::Room;
    if !hub.namespaces().any(has_rooms) {
        return Err(unknown());
    }
    let (outlet, lines) = SseOutlet::new();
    let outlet = Arc::new(outlet);
    let client = hub.connect_from(&name, outlet.clone(), origin)?;
    let listener = Listener {
        hub: hub.clone(),
        client,
        lines,
    };
    let guest = Some(listener.client.id().guest_name());
    let jitter = Uuid::new_v4().as_u128() as u64 % RETRY_JITTER;
    outlet.say(format!("retry: {}\n\n", RETRY + jitter));
    let joined = {
        let outlet = outlet.clone();
        let (tell, told) = oneshot::channel();
        let welcome = move |joined: Result<Joined, Error>| {
            let joined = joined.map(|joined| outlet.say(joined_block(&joined, since)));
            // Whoever asked may have gone.
            drop(tell.send(joined));
        };
        hub.join(&listener.client, &room, guest.clone(), since, welcome)?;
        told
    };
    // Behind the backlog: where to go on from, if nothing comes before the end.
    let reached = move |joined: Result<Joined, Error>| {
        if let Ok(joined) = joined {
            outlet.say(format!("id: {}\n\n", joined.offset));
        }
    };
    hub.join(&listener.client, &room, guest, None, reached)?;
    // Nobody answers once the server has stopped.
    joined.await.unwrap_or(Err(Error::Closing))?;
    Ok(listener)
}

/// The first event: EventSource can't read headers.
fn joined_block(joined: &Joined, since: Option<Offset>) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        room: &'a RoomName,
        clients: usize,
        /// Where the listener goes on from.
        since: Option<Offset>,
        offset: Offset,
        recovered: bool,
        /// The server's clock.
        time: String,
    }
    let shown = Shown {
        room: &joined.room,
        clients: joined.clients,
        since: since.filter(|_| joined.recovered),
        offset: joined.offset,
        recovered: joined.recovered,
        time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
    };
    let shown = serde_json::to_string(&shown).expect("strings and numbers always serialize");
    format!("event: joined\ndata: {shown}\n\n")
}

/// One response; the client ends with it.
struct Listener {
    hub: Arc<Hub>,
    client: Arc<Client>,
    lines: Receiver<Bytes>,
}

impl Listener {
    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut listener| async move {
            let block = match timeout(HEARTBEAT, listener.lines.recv()).await {
                Ok(block) => block?,
                Err(_quiet) => Bytes::from_static(b":\n\n"),
            };
            Some((Ok::<_, std::convert::Infallible>(block), listener))
        }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hub.forget(&self.client);
    }
}

//! HTTP for backends: `POST /bus-message/:room` publishes in `/bus`.
//! Translates only; what may be published is the hub's matter.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use ipnet::IpNet;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::{problem, refused};
use crate::core::hub::{Hub, Outside};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::Publisher;
use crate::net::PeerAddr;
use crate::net::peer::sender;

/// What the door needs.
#[derive(Clone)]
pub struct Api {
    /// The rooms.
    pub hub: Arc<Hub>,
    /// The proxies whose forwarding headers count.
    pub trusted: Arc<[IpNet]>,
}

/// The routes of this door.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/bus-message/{room}", post(bus_message))
        .with_state(api)
}

/// For private addresses only, and for no web page: those send an Origin.
async fn bus_message(
    State(api): State<Api>,
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let private = sender(peer, &headers, &api.trusted).is_private();
    if !private || headers.contains_key(header::ORIGIN) {
        let why = "/bus-message answers private addresses only, and no web page";
        return problem(StatusCode::FORBIDDEN, "forbidden", why);
    }
    match publish(&api.hub, &room, &body).await {
        Ok(()) => "OK".into_response(),
        Err(refused) => refused,
    }
}

async fn publish(hub: &Arc<Hub>, room: &str, body: &[u8]) -> Result<(), Response> {
    let bad = |error: &dyn std::fmt::Display| {
        problem(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            &error.to_string(),
        )
    };
    let room = RoomName::parse(room).map_err(|error| bad(&error))?;
    let message: Box<RawValue> = serde_json::from_slice(body).map_err(|error| bad(&error))?;
    let namespace = NamespaceName::parse("/bus").expect("a name written here is one");
    let (tell, told) = oneshot::channel();
    let from = Outside {
        publisher: Publisher::Http,
        namespace: &namespace,
        room,
        sender: Nickname::http(),
        message,
        retain: &[],
    };
    let done = |published| {
        // Whoever asked may have gone.
        let _ = tell.send(published);
    };
    hub.publish(from, Box::new(done));
    match told.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "closing",
            "the server is stopping",
        )),
    }
}

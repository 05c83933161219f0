//! The raw WebSocket door: who connects is in a room from the first frame on,
//! and hears it as plain JSON. Nothing that a client writes is looked at.

mod listener;
mod outlet;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{open_socket, source_of};
use crate::core::hub::Hub;
use target::Target;

/// The routes of the main port.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/api/", get(open))
        .route("/ws", get(open))
        .with_state(hub)
}

/// The routes of the gateway's own port: raw WebSockets at every path, as the KJHK gateway reads only
/// the query.
pub fn gateway(hub: Arc<Hub>) -> Router {
    Router::new().fallback_service(get(open).with_state(hub))
}

async fn open(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let target = match Target::of(request.uri().query().unwrap_or_default(), &hub) {
        Ok(target) => target,
        Err(wrong) => return (StatusCode::BAD_REQUEST, wrong.to_string()).into_response(),
    };
    let source = source_of(request.extensions());
    open_socket(request, move |stream, wire| async move {
        listener::serve(&hub, target, source.into(), stream, wire).await;
    })
}

//! The raw WebSocket door: who connects is in a room from the first frame on,
//! and hears it as plain JSON. Nothing that a client writes is looked at.

mod listener;
mod outlet;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use crate::core::hub::Hub;
use crate::net::{ConnectionHandle, upgraded};
use target::Target;

/// The routes of the main port.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/api/", get(open))
        .route("/ws", get(open))
        .with_state(hub)
}

/// The gateway's own port: the same at its root.
pub fn gateway(hub: Arc<Hub>) -> Router {
    Router::new().route("/", get(open)).with_state(hub)
}

async fn open(State(hub): State<Arc<Hub>>, mut request: Request) -> Response {
    let target = match Target::of(request.uri().query().unwrap_or_default(), &hub) {
        Ok(target) => target,
        Err(wrong) => return (StatusCode::BAD_REQUEST, wrong.to_string()).into_response(),
    };
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let connection = request.extensions_mut().remove::<ConnectionHandle>();
    let answer = create_response(&request.map(|_| ()));
    match (answer, upgrade, connection) {
        (Ok(answer), Some(upgrade), Some(connection)) => {
            let wire = connection.wire();
            connection.spawn(async move {
                if let Some(stream) = upgraded(upgrade).await {
                    listener::serve(&hub, target, stream, wire).await;
                }
            });
            answer.map(|()| Body::empty())
        }
        (Err(wrong), Some(_), _) => (StatusCode::BAD_REQUEST, format!("{wrong}\n")).into_response(),
        _ => {
            let asked = [(header::UPGRADE, HeaderValue::from_static("websocket"))];
            let why = "This is a WebSocket: connect to it with ws:// or wss://\n";
            (StatusCode::UPGRADE_REQUIRED, asked, why).into_response()
        }
    }
}

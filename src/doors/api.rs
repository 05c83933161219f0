//! HTTP for pages and backends: what is playing, what was played, and publishing.
//! Translates only; what may be published, and by whom, is the hub's matter.

mod accept;
mod cached;
mod described;
#[cfg(test)]
mod fuzz_tests;
mod history;
mod now;
mod publish;
mod track;
mod turn;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;

use crate::core::hub::Hub;
use crate::doors::Problem;
use crate::net::access::PrivateAccess;
use crate::nowplaying::{Publish, Station};
use crate::store::Store;

/// What the door needs.
#[derive(Clone)]
pub struct Api {
    /// The rooms.
    pub hub: Arc<Hub>,
    /// The play log, where there is one.
    pub store: Option<Store>,
    /// How items are shown.
    pub station: Station,
    /// Where a backend's tracks go.
    pub tracks: Publish,
    /// Decides who publishes in `/bus` without a token; `None`: nobody.
    pub access: Option<PrivateAccess>,
    /// How many read the play log at once.
    pub readers: Arc<Semaphore>,
}

/// How many read the play log at once; the others wait a while. It has one
/// connection, and each of them takes a thread.
pub const READERS: usize = 4;

/// What there is not: all other paths below `/api/`. Not by a fallback, which would
/// be one for all doors; and a path behind `/api/` at once would hide the rooms.
const UNKNOWN: [&str; 4] = [
    "/api/{a}",
    "/api/{a}/",
    "/api/{a}/{b}/",
    "/api/{a}/{b}/{*c}",
];

/// The routes of this door.
pub fn router(api: Api) -> Router {
    let router = Router::new()
        .route("/api/now-playing", get(now::now_playing))
        .route("/api/now-playing/history", get(history::history))
        .route("/api/now-playing.php", get(history::history_of_old))
        .route("/api/openapi.json", get(described::description))
        .route("/api/{namespace}/{room}", post(publish::to_room))
        .route("/bus-message/{room}", post(publish::to_bus))
        .route("/bus-message/{room}/", post(publish::to_bus))
        .method_not_allowed_fallback(other_method);
    let add = |router: Router<Api>, path| router.route(path, any(unknown));
    UNKNOWN.into_iter().fold(router, add).with_state(api)
}

async fn unknown() -> Problem {
    let why = "there is nothing here; /api/openapi.json says what there is";
    Problem::new(StatusCode::NOT_FOUND, "not_found", why)
}

async fn other_method() -> Problem {
    let why = "this takes other methods, which `Allow` names";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why)
}

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
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;

use crate::core::hub::Hub;
use crate::doors::{Problem, method_not_allowed, unknown};
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
        .method_not_allowed_fallback(method_not_allowed);
    let add = |router: Router<Api>, path| router.route(path, any(not_found));
    UNKNOWN.into_iter().fold(router, add).with_state(api)
}

/// The code of a query with a wrong or unknown parameter.
const INVALID_QUERY: &str = "invalid_query";

/// The parameter that pages add to get past caches (jQuery's `cache: false`); ignored.
const CACHE_BUSTER: &str = "_";

/// The query of a request that takes no parameters.
struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
        match names.find(|name| name != CACHE_BUSTER) {
            Some(name) => Err(unknown_parameter(&name, &[])),
            None => Ok(Self),
        }
    }
}

fn unknown_parameter(name: &str, known: &[&str]) -> Problem {
    Problem::bad_request(INVALID_QUERY, unknown("parameter", name, known))
}

async fn not_found() -> Problem {
    let why = "there is no endpoint at this path; /api/openapi.json lists the endpoints";
    Problem::new(StatusCode::NOT_FOUND, "not_found", why)
}

//! `GET /health`, `/healthcheck` and `/metrics`: how the server is doing.
//! Reads figures; changes nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;
use serde_json::json;

use crate::core::broker::BrokerStatus;
use crate::core::hub::Hub;
use crate::net::PeerAddr;
use crate::net::access::PrivateAccess;
use crate::nowplaying::feed::Feed;
use crate::store::Store;
use crate::supervise::Supervisor;

/// Where the figures are: for this machine and private networks only.
pub const EXPOSITION: &str = "/metrics";

/// Whether a request is served even when clients have filled the server: requests of probes,
/// and of backends that publish.
pub fn is_essential(method: &Method, path: &str) -> bool {
    let publishes = *method == Method::POST;
    let is_probe = matches!(path, "/health" | "/healthcheck" | EXPOSITION);
    is_probe || (publishes && !path.starts_with("/socket.io"))
}

/// What the answers are made of.
#[derive(Clone)]
pub struct Sources {
    /// The rooms.
    pub hub: Arc<Hub>,
    /// What outlives a restart, if anything does.
    pub store: Option<Store>,
    /// The feed.
    pub feed: Arc<Feed>,
    /// The supervisor of the server's tasks.
    pub supervisor: Supervisor,
    /// Decides who may read the metrics.
    pub access: PrivateAccess,
}

/// The routes.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/healthcheck", get(healthcheck))
        .route(EXPOSITION, get(exposition))
        .with_state(sources)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    feed: FeedHealth,
    clients: usize,
    broker: BrokerStatus,
    store: StoreHealth,
    /// Tasks of the server that have failed and do not run.
    failed: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeedHealth {
    connections: usize,
    /// Seconds; null until the first document.
    last_document_age_seconds: Option<f64>,
    /// How far the clocks of the connected senders are ahead of the server's, as far as that is
    /// known.
    skew_seconds: Vec<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreHealth {
    ok: bool,
    /// The new name of the damaged database, if the server has renamed one since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged_file: Option<String>,
    /// How many damaged rows the server has set aside since the start.
    #[serde(skip_serializing_if = "is_zero")]
    damaged_rows: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// 200 also when degraded, so that a probe does not restart what still works;
/// 503 while stopping.
async fn health(State(sources): State<Sources>) -> Response {
    let broker = sources.hub.broker_status();
    let stopping = sources.hub.is_stopping();
    let stored = stored(&sources);
    let store = sources.store.as_ref();
    let damaged_file = store.and_then(|store| store.damaged_file().map(str::to_owned));
    let failed = sources.supervisor.tasks_down();
    let works = broker.connected && stored && damaged_file.is_none() && failed.is_empty();
    let health = Health {
        status: if works && !stopping { "ok" } else { "degraded" },
        feed: FeedHealth {
            connections: sources.feed.connections(),
            last_document_age_seconds: feed_age(&sources.feed),
            skew_seconds: sources.feed.skews().into_iter().map(tenths).collect(),
        },
        clients: sources.hub.client_count(),
        broker,
        store: StoreHealth {
            ok: stored,
            damaged_file,
            damaged_rows: store.map_or(0, Store::damaged_rows),
        },
        failed,
    };
    (code_of(stopping), Json(health)).into_response()
}

/// The same in a word, for probes that compare the answer.
async fn healthcheck(State(sources): State<Sources>) -> Response {
    let stopping = sources.hub.is_stopping();
    let word = if stopping { "stopping" } else { "OK" };
    (code_of(stopping), word).into_response()
}

fn code_of(stopping: bool) -> StatusCode {
    if stopping {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

/// Prometheus text, for this machine and private networks only.
async fn exposition(
    State(sources): State<Sources>,
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    headers: HeaderMap,
) -> Response {
    if let Err(denied) = sources.access.check(peer, &headers) {
        let problem = json!({
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "code": denied.code(),
            "detail": denied.to_string(),
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        return (StatusCode::FORBIDDEN, kind, problem.to_string()).into_response();
    }
    gather(&sources);
    let kind = [(header::CONTENT_TYPE, super::CONTENT_TYPE)];
    (kind, super::render()).into_response()
}

/// Sets the figures that are read rather than counted.
fn gather(sources: &Sources) {
    for (namespace, rooms) in sources.hub.room_counts() {
        metrics::gauge!("roomcast_rooms", "namespace" => namespace.to_string()).set(rooms as f64);
    }
    metrics::gauge!("roomcast_store_ok").set(f64::from(u8::from(stored(sources))));
    metrics::gauge!("roomcast_zetta_connections_open").set(sources.feed.connections() as f64);
    if let Some(age) = feed_age(&sources.feed) {
        metrics::gauge!("roomcast_zetta_last_document_age_seconds").set(age);
    }
}

/// Whether what is to outlive a restart does.
fn stored(sources: &Sources) -> bool {
    sources.store.as_ref().is_none_or(Store::is_ok)
}

fn feed_age(feed: &Feed) -> Option<f64> {
    Some(tenths(feed.last_document_age()?.as_secs_f64()))
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

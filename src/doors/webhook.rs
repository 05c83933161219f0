//! The webhook door: holds WebSockets for backends that speak only HTTP. It tells the
//! backend by webhook who comes, what is sent and who is gone, and takes what is for
//! a client by REST. Stands in for another program, whose backends must not notice.

mod backend;
mod breaker;
mod call;
mod client;
mod connection;
mod connections;
mod early;
mod elsewhere;
mod exchange;
#[cfg(test)]
mod fuzz_tests;
mod id;
mod outlet;
mod payload;
mod protocol;
mod rest;
mod settings;
mod signature;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::backend::{DELIVERIES_MOST, QUESTIONS_MOST};
pub use self::client::{CaError, check_ca};
use self::connection::{Peer, Turned};
use self::connections::Connections;
use self::id::Id;
pub use self::settings::Settings;
use self::waiting::Total;
use super::Asked;
use crate::core::hub::Hub;
use crate::core::name::NamespaceName;
use crate::core::namespace::{Namespace, Rooms};
use crate::core::tally::Tally;
use crate::core::token::Token;
use crate::net::PeerAddr;
use crate::net::access::PrivateAccess;

/// How many clients wait for the backend's answer at once: at a silent backend each
/// costs a few KiB for as long as that may take.
const ASKED_MOST: usize = 4096;

/// Most descriptors: calls of each kind, and idle connections to the backend.
pub const DESCRIPTORS: usize = QUESTIONS_MOST + DELIVERIES_MOST + backend::IDLE_MOST;

/// What the door needs.
pub struct Needs {
    /// The rooms.
    pub hub: Arc<Hub>,
    /// Where each connection has a room to itself.
    pub namespace: NamespaceName,
    /// Whom it calls, and how.
    pub backend: Settings,
    /// Where the backend reaches the REST side, without a slash at its end.
    pub local_address: String,
    /// The biggest message, in bytes.
    pub message_most: usize,
    /// Whether the door behaves towards clients and backend as WSAAS does, which it replaces.
    pub is_wsaas: bool,
    /// What the REST side needs; without one it is for this machine.
    pub key: Option<Token>,
    /// Decides who may use the REST side if there is no key.
    pub access: PrivateAccess,
}

/// Lets the rooms of connections take what a client may get: so many bytes.
pub fn fit(namespaces: &mut [Namespace], message_most: usize) {
    let own = namespaces.iter_mut().filter(|n| n.rooms == Rooms::Own);
    own.for_each(|n| n.limits.message_bytes = payload::message_most(message_most));
}

/// The door.
pub struct Webhook {
    hub: Arc<Hub>,
    namespace: NamespaceName,
    backend: backend::Backend,
    local_address: String,
    message_most: usize,
    is_wsaas: bool,
    key: Option<Token>,
    access: PrivateAccess,
    connections: Arc<Connections>,
    /// How much waits for the backend.
    waiting: Arc<Total>,
    /// How many connections the backend has accepted, and was not told the end of.
    accepted: watch::Sender<usize>,
    asked: Arc<Semaphore>,
    /// Limits log lines that clients can cause, to one a minute.
    tally: Tally,
    /// Questions and farewells that no connection waits for.
    tasks: TaskTracker,
}

impl Webhook {
    /// The door, closed yet.
    ///
    /// # Errors
    /// The authorities that the backend may have its certificate from can't be read.
    pub fn new(needs: Needs) -> Result<Arc<Self>, CaError> {
        let door = Arc::new(Self {
            hub: needs.hub,
            namespace: needs.namespace,
            backend: backend::Backend::new(needs.backend)?,
            local_address: needs.local_address,
            message_most: needs.message_most,
            is_wsaas: needs.is_wsaas,
            key: needs.key,
            access: needs.access,
            connections: Arc::default(),
            waiting: Arc::default(),
            accepted: watch::Sender::new(0),
            asked: Arc::new(Semaphore::new(ASKED_MOST)),
            tally: Tally::default(),
            tasks: TaskTracker::new(),
        });
        elsewhere::answer_others(&door);
        Ok(door)
    }

    /// The clients' port: a WebSocket on any path.
    pub fn clients(self: &Arc<Self>) -> Router {
        Router::new().fallback(open).with_state(self.clone())
    }

    /// The backend's port.
    pub fn rest(self: &Arc<Self>) -> Router {
        rest::router(self.clone())
    }

    /// Waits until the backend knows the end of every connection, but no longer than
    /// `limit`; logs how many ends the backend does not know.
    pub async fn stop(&self, limit: Duration) {
        self.tasks.close();
        let mut accepted = self.accepted.subscribe();
        let all_told = async {
            self.tasks.wait().await;
            // The connections' own tasks tell of them, and are not among these.
            let _ = accepted.wait_for(|count| *count == 0).await;
        };
        // What is left is counted.
        let _ = timeout(limit, all_told).await;
        let untold = *self.accepted.borrow();
        if untold > 0 {
            metrics::counter!("roomcast_webhook_undelivered_total").increment(untold as u64);
            warn!(
                untold,
                "the backend does not know that these connections are gone"
            );
        }
    }

    fn uri_of(&self, id: &Id) -> String {
        format!("{}/{id}", self.local_address)
    }
}

async fn open(
    State(door): State<Arc<Webhook>>,
    Extension(PeerAddr(peer)): Extension<PeerAddr>,
    request: Request,
) -> Response {
    let headers = request.headers();
    let authorization = headers.get(header::AUTHORIZATION);
    let peer = Peer {
        address: door.access.sender(peer, headers).address,
        // A copy: the other one would keep the whole request.
        authorization: match authorization {
            Some(value) => HeaderValue::from_bytes(value.as_bytes()).ok(),
            // WSAAS sends `None`; its backends may read the header unconditionally.
            None => door.is_wsaas.then(|| HeaderValue::from_static("None")),
        },
    };
    let asked = match Asked::of(request) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let Ok(place) = door.asked.clone().try_acquire_owned() else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many wait for the backend",
        );
    };
    let patience = door.backend.settings().limit();
    let (mut tell, told) = oneshot::channel();
    // In a task of its own, since this one ends with the client: once the backend was asked,
    // its answer counts.
    door.tasks.clone().spawn(async move {
        let answered = connection::ask(door, peer, tell.closed()).await;
        drop(place);
        // Where nobody waits any more, this tells the backend so.
        let _ = tell.send(answered);
    });
    match timeout(patience, told).await {
        Ok(Ok(Ok(accepted))) => {
            asked.open(move |stream, wire| connection::serve(accepted, stream, wire))
        }
        Ok(Ok(Err(Turned::Away))) => refuse(StatusCode::FORBIDDEN, "the backend refuses"),
        Err(_) | Ok(Ok(Err(Turned::Silent))) => {
            refuse(StatusCode::GATEWAY_TIMEOUT, "the backend does not answer")
        }
        Ok(Ok(Err(Turned::Broken)) | Err(_)) => {
            refuse(StatusCode::BAD_GATEWAY, "the backend fails")
        }
    }
}

fn refuse(status: StatusCode, why: &'static str) -> Response {
    let reason = status.as_str().to_owned();
    metrics::counter!("roomcast_refused_total", "door" => "webhook", "reason" => reason)
        .increment(1);
    (status, format!("{why}\n")).into_response()
}

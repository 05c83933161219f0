//! Stops a server: tells every client, and gives it some time to close its connection. Knows
//! clients and connections, and no transport but the engine, which ends polls.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use socketioxide::SocketIo;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use crate::core::hub::Hub;
use crate::net::Connections;

/// How long clients have for what they were told before the engine ends those
/// polls that are left: more than a round trip to a phone.
const BY_THEMSELVES: Duration = Duration::from_secs(1);

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many connections had to be cut, since they did not end by themselves.
    pub cut: usize,
    /// Whether a task has failed that the server cannot run without.
    pub failed: bool,
}

/// The deadlines of a stop.
#[derive(Clone, Copy)]
pub(crate) struct StopClock {
    /// The server waits for clients until then. In the last quarter it tells the backend and the
    /// other nodes who has left, and writes its state.
    clients_until: Instant,
    until: Instant,
}

impl StopClock {
    /// A stop that begins now and takes at most `limit`.
    pub(crate) fn start(limit: Duration) -> Self {
        let until = Instant::now() + limit;
        Self {
            clients_until: until - limit / 4,
            until,
        }
    }

    /// The time that is left for the stop.
    pub(crate) fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Runs a step of the stop, but not longer than the stop may take.
    pub(crate) async fn step(self, name: &str, step: impl Future) {
        if timeout_at(self.until, step).await.is_err() {
            warn!("the time for the stop was over before {name}");
        }
    }
}

/// Tells every client, and waits for them to close as long as there is time.
pub(crate) async fn stop(
    hub: &Arc<Hub>,
    io: SocketIo,
    connections: &Connections,
    clock: StopClock,
) -> Stopped {
    let open = connections.open();
    info!(clients = hub.client_count(), connections = open, "stopping");
    let gone = async {
        hub.stop().await;
        // By themselves first: the engine would say Engine.IO's goodbye between
        // the last word and the end, after which some SDKs stay away.
        if timeout(BY_THEMSELVES, connections.wait_closed())
            .await
            .is_ok()
        {
            return;
        }
        // The engine waits for the slowest of its writers: nobody waits for it.
        let closing = async {
            io.close().await;
            pending().await
        };
        tokio::select! {
            () = connections.wait_closed() => {}
            () = closing => {}
        }
    };
    let cut = match timeout_at(clock.clients_until, gone).await {
        Ok(()) => 0,
        Err(_) => connections.kill_all(),
    };
    // The other nodes learn that a client has left only after its rooms here have.
    drop(timeout(BY_THEMSELVES, hub.drained()).await);
    if cut > 0 {
        warn!(cut, "connections did not end in time and were cut");
    }
    Stopped { cut, failed: false }
}

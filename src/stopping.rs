//! The end of a server: everybody is told, and has some time to go. Knows clients and
//! connections, and no door but the engine, which ends polls.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use socketioxide::SocketIo;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::core::hub::Hub;
use crate::net::Connections;

/// How long clients may take to go when the server stops: what a supervisor
/// usually grants, and half of the deadline of a single stalled write.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long clients have for what they were told before the engine ends those
/// polls that are left: more than a round trip to a phone.
const BY_THEMSELVES: Duration = Duration::from_secs(1);

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many connections had to be cut, since they did not end by themselves.
    pub cut: usize,
    /// Whether a task has failed without which the server can't go on.
    pub failed: bool,
}

/// Tells every client, and waits for them up to [`STOP_LIMIT`].
pub(crate) async fn stop(hub: &Arc<Hub>, io: SocketIo, connections: &Connections) -> Stopped {
    let open = connections.open();
    info!(clients = hub.client_count(), connections = open, "stopping");
    hub.stop().await;
    let gone = async {
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
    let cut = match timeout(STOP_LIMIT, gone).await {
        Ok(()) => 0,
        Err(_) => connections.kill_all(),
    };
    // Who has gone is told to the other nodes only once that has been done here.
    drop(timeout(BY_THEMSELVES, hub.drained()).await);
    if cut > 0 {
        warn!(cut, "connections did not end in time and were cut");
    }
    Stopped { cut, failed: false }
}

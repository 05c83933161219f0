//! What the protocols ask of a server, held against the whole server: Engine.IO
//! v3 and v4, Socket.IO v4 and v5, by polling and by WebSocket. The cases are
//! those that the protocols' own repositories test, as far as they apply, and
//! what their documents say besides. Where those let a server answer with what
//! it was sent, ours is asked by JOIN, NOTIFY and CLIENTS in `/bus`.
//!
//! What does not apply:
//!
//! | case | why |
//! |---|---|
//! | a message comes back as it was sent, text or binary | a room server echoes nothing; what is sent reaches others as EVENT, and a verb has its ack |
//! | binary packets come back, in frames, in base64 and as v3's binary payload | rooms carry JSON: binary is read, and answered with an error |
//! | an event or an ack with attachments comes from the server | it sends none |
//! | the payload of CONNECT comes back as `auth` | no namespace asks for one; it is taken and not looked at |
//! | an interval of 300 ms and a timeout of 200 ms | ours are the protocol's defaults, 25 s and 20 s, by a clock that jumps |
//! | `maxPayload` of 1,000,000 | ours follows from the largest message of a namespace |
//! | a handshake without `EIO` is refused (v4) | Swift's SDK before 16 sends none; it is taken for v3, as by Socket.IO's own server (replay/swift.rs) |
//! | the transports JSONP (v3) and WebTransport (v4) | not served: the SDKs use them only where they are told to |
//!
//! What the engine does otherwise than the documents, harmless and held here as
//! it is: its first ping comes at once (peer.rs); a packet out of place in a
//! payload is refused without an end (polls.rs); an event to a namespace that
//! there is not is ignored (heartbeat.rs); an ack's payload may be anything
//! (messages.rs).

#[path = "conformance/handshake.rs"]
mod handshake;
#[path = "conformance/heartbeat.rs"]
mod heartbeat;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "conformance/namespaces.rs"]
mod namespaces;
#[path = "conformance/peer.rs"]
mod peer;
#[path = "conformance/polls.rs"]
mod polls;
#[path = "conformance/upgrade.rs"]
mod upgrade;

use std::time::Duration;

use tokio::time::timeout;

use crate::client::SOON;
use crate::server::TestServer;

pub use peer::{Peer, handshake, packets};

/// The versions of Engine.IO; Socket.IO v4 is on the first, v5 on the second.
const VERSIONS: [u8; 2] = [3, 4];

/// How a session is held.
pub const WAYS: [Way; 4] = [
    (Transport::Polling, 3),
    (Transport::Polling, 4),
    (Transport::WebSocket, 3),
    (Transport::WebSocket, 4),
];

pub type Way = (Transport, u8);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transport {
    Polling,
    WebSocket,
}

const JOIN: &str = r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#;
const JOINED: &str = r#"43/bus,0[{"status":"ok""#;

/// Waits until the server has no client any more.
async fn nobody_is_left(server: &TestServer) {
    let nobody = async {
        while server.hub.client_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, nobody).await.expect("a client stays");
}

/// Lets the server's clock jump; it stands still only for the jump, since it
/// would run ahead of the sockets. Nothing may be waited for meanwhile.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

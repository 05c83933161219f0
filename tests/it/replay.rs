//! SDKs that don't run here, replayed: what the clients for Swift, Dart and C++
//! send, byte by byte and in their order, as their sources have it, and what
//! they wait for in between. Each script says which source it is from.
//!
//! What stands in a message is ours; the forms are theirs: which transports, the
//! order of the query, which headers, what is said before the server says
//! anything, how a namespace, an ack's number and a payload are written, who
//! pings, and how they go.

#[path = "replay/cpp.rs"]
mod cpp;
#[path = "replay/dart.rs"]
mod dart;
#[path = "replay/session.rs"]
mod session;
#[path = "replay/swift.rs"]
mod swift;

use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::server::TestServer;
use session::Session;

/// What one SDK does in one session.
struct Script {
    sdk: &'static str,
    /// Of Engine.IO, as it is spoken on the wire.
    eio: u8,
    /// With which it is opened: a WebSocket where that says so.
    target: &'static str,
    /// Of each request.
    headers: &'static [(&'static str, &'static str)],
    /// Whom it meets.
    other: Other,
    steps: &'static [Step],
}

/// Another client, which is there before.
enum Other {
    /// As `ben` in the room `r` of `/bus`.
    Bus,
    /// In the lobby `x y`.
    Lobby,
}

enum Step {
    /// It sends these: by polling in one body, else each in a frame.
    Says(&'static [&'static str]),
    /// It waits for a packet that begins so.
    Hears(&'static str),
    /// The other client sends this.
    Other(&'static str),
    /// The other client hears something that begins so.
    Reaches(&'static str),
    /// It moves to a WebSocket with this target, and says this there first.
    Moves(&'static str, &'static [&'static str]),
    /// It is in no namespace any more where there are rooms.
    IsOut,
    /// It closes the WebSocket by a frame, with a code and a reason or without.
    Closes(Option<(u16, &'static str)>),
    /// The server ends the session.
    Ends,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_script_runs() {
    for script in [swift::SCRIPTS, dart::SCRIPTS, cpp::SCRIPTS].concat() {
        let server = TestServer::start().await;
        let mut other = script.other.come(&server).await;
        let mut session = Session::open(&server, script).await;
        for step in script.steps {
            match *step {
                Step::Says(packets) => session.says(packets).await,
                Step::Hears(start) => session.hears(start).await,
                Step::Other(packet) => other.send(packet).await,
                Step::Reaches(start) => reaches(&mut other, start, script.sdk).await,
                Step::Moves(target, packets) => session.moves(target, packets).await,
                Step::IsOut => is_out(&server, script.sdk).await,
                Step::Closes(why) => session.closes(why).await,
                Step::Ends => session.ends().await,
            }
        }
        is_out(&server, script.sdk).await;
        drop(other);
        server.stop().await;
    }
}

impl Other {
    async fn come(&self, server: &TestServer) -> Client {
        match self {
            Self::Bus => {
                let mut ben = Client::connect(server.address, "/bus").await.unwrap();
                let join = serde_json::json!({"room": "r", "name": "ben"});
                assert_eq!(ben.ask("JOIN", join).await["status"], "ok");
                ben
            }
            Self::Lobby => {
                let query = "EIO=4&lobbyId=x%20y";
                let mut ben = Client::websocket(server.address, query).await;
                ben.packet().await.unwrap();
                ben.send("40/lobby,").await;
                reaches(&mut ben, r#"42/lobby,["PEERS",[]]"#, "ben").await;
                ben
            }
        }
    }
}

/// Waits for a packet of the other client.
async fn reaches(other: &mut Client, start: &str, sdk: &str) {
    let mut heard = Vec::new();
    loop {
        let packet = other.packet().await;
        let packet = packet.unwrap_or_else(|| panic!("{sdk}: {start} not in {heard:?}"));
        if packet.starts_with(start) {
            return;
        }
        heard.push(packet);
    }
}

/// Waits until the other client is alone.
async fn is_out(server: &TestServer, sdk: &str) {
    let alone = async {
        while server.hub.client_count() > 1 {
            tokio::task::yield_now().await;
        }
    };
    let alone = timeout(SOON, alone).await;
    alone.unwrap_or_else(|_| panic!("{sdk} stays"));
}

//! Heartbeats (Engine.IO v4, "Protocol: Heartbeat": the server asks; v3,
//! "Anatomy of an Engine.IO session" and "Timeouts": the client asks), and the
//! end of who does not answer or never connects.

use std::time::Duration;

use super::peer::Peer;
use super::{JOIN, JOINED, Transport, WAYS, nobody_is_left, pass};
use crate::server::TestServer;

/// Its answer shows that the session goes on, that all before it was read, and
/// that no heartbeat was due.
async fn goes_on(peer: &mut Peer<'_>) {
    peer.send(&[JOIN]).await;
    let packet = peer.any_packet().await.expect("the session is over");
    assert!(packet.starts_with(JOINED), "{packet}");
}

#[tokio::test]
async fn who_answers_stays() {
    let server = TestServer::start().await;
    for way in WAYS {
        let mut peer = Peer::joined(&server, way).await;
        for _ in 0..3 {
            match way {
                (_, 3) => {
                    peer.send(&["2"]).await;
                    assert_eq!(peer.any_packet().await.as_deref(), Some("3"), "{way:?}");
                    pass(Duration::from_secs(40)).await;
                }
                _ => {
                    // Every 25 s, whatever else is said.
                    pass(Duration::from_secs(20)).await;
                    goes_on(&mut peer).await;
                    pass(Duration::from_secs(6)).await;
                    assert_eq!(peer.any_packet().await.as_deref(), Some("2"), "{way:?}");
                    peer.send(&["3"]).await;
                    goes_on(&mut peer).await;
                }
            }
        }
        goes_on(&mut peer).await;
    }
    server.stop().await;
}

/// The interval and the timeout together, 45 s behind the last sign of life.
#[tokio::test]
async fn who_does_not_answer_ends() {
    let server = TestServer::start().await;
    for way in WAYS {
        let mut peer = Peer::joined(&server, way).await;
        if way.1 == 4 {
            pass(Duration::from_secs(26)).await;
            assert_eq!(peer.any_packet().await.as_deref(), Some("2"), "{way:?}");
            pass(Duration::from_secs(15)).await;
        } else {
            pass(Duration::from_secs(41)).await;
        }
        match way.0 {
            Transport::Polling => goes_on(&mut peer).await,
            // Its events would show that it is alive.
            Transport::WebSocket => assert_eq!(server.hub.client_count(), 1),
        }
        pass(Duration::from_secs(6)).await;
        peer.ends().await;
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// Socket.IO v5: 10 s are given for a CONNECT, and nothing else takes its place.
/// In v4 everybody is in `/` from the start.
#[tokio::test]
async fn who_never_connects_ends() {
    let server = TestServer::start().await;
    for way in WAYS {
        // The document has a session ended at once that begins with anything
        // but CONNECT. The engine does so for the namespaces that there are
        // (namespaces.rs), and ignores what goes to others.
        for first in [None, Some(r#"42/random,["x"]"#)] {
            let mut peer = Peer::open(&server, way).await;
            if let Some(first) = first {
                peer.send(&[first]).await;
            }
            pass(Duration::from_secs(7)).await;
            let mut later = Peer::open(&server, way).await;
            pass(Duration::from_secs(4)).await;
            match way {
                (_, 3) => {
                    peer.send(&["40/bus,"]).await;
                    peer.hears("40/bus").await;
                }
                _ => {
                    let heard = peer.ends().await;
                    assert!(heard.is_empty() || heard == ["1"], "{heard:?}");
                }
            }
            later.send(&["40/bus,"]).await;
            later.hears("40/bus").await;
        }
    }
    server.stop().await;
}

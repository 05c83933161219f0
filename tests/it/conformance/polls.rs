//! Payloads and polls (Engine.IO v4, "Transports: HTTP long-polling" and
//! "Packet encoding: HTTP long-polling"; v3, "Payload" and "Polling").

use serde_json::json;
use tokio::time::timeout;

use super::peer::{Peer, Polling, packets};
use super::{Transport, VERSIONS, nobody_is_left};
use crate::client::SOON;
use crate::server::TestServer;

const CLIENTS: &str = r#"42/bus,1["CLIENTS",{"room":"r"}]"#;

/// A session in the room `r`, which has been told all that was to be said.
async fn joined(server: &TestServer, eio: u8) -> Polling<'_> {
    match Peer::joined(server, (Transport::Polling, eio)).await {
        Peer::Polling(polling) => polling,
        Peer::WebSocket(_) => unreachable!("it was to poll"),
    }
}

#[tokio::test]
async fn a_payload_holds_one_packet_or_several() {
    let server = TestServer::start().await;
    let notify = r#"42/bus,2["NOTIFY",{"room":"r","message":"Añna 𝄞"}]"#;
    let answers = ["43/bus,2[", "43/bus,1["];
    for eio in VERSIONS {
        for (sent, expected) in [
            (&[notify][..], &answers[..1]),
            (&[notify, CLIENTS], &answers),
        ] {
            let polling = joined(&server, eio).await;
            let posted = polling.post(sent).await;
            assert_eq!((posted.status, posted.body.as_str()), (200, "ok"));
            let told = packets(&polling.poll().await, eio);
            assert_eq!(told.len(), expected.len(), "{told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.starts_with(expected), "{told}");
            }
            assert_eq!(polling.post(&["1"]).await.status, 200);
            nobody_is_left(&server).await;
        }
    }
    server.stop().await;
}

/// In v3 a payload says how long its packets are, and an SDK believes it.
#[tokio::test]
async fn a_poll_takes_all_that_waits() {
    let server = TestServer::start().await;
    let messages = ["plain", "Añna 𝄞", "last"];
    for eio in VERSIONS {
        let polling = joined(&server, eio).await;
        for message in messages {
            server.publish("/bus", "r", json!(message));
        }
        let told = packets(&polling.poll().await, eio);
        assert_eq!(told.len(), messages.len(), "{told:?}");
        for (told, message) in told.iter().zip(messages) {
            assert!(told.starts_with(r#"42/bus,["EVENT",{"#), "{told}");
            assert!(
                told.contains(&format!(r#""message":"{message}""#)),
                "{told}"
            );
            assert!(told.ends_with("}]"), "{told}");
        }
    }
    server.stop().await;
}

/// Whether it is not framed, of no type, or a packet that only servers send.
#[tokio::test]
async fn what_is_no_payload_ends_the_session() {
    let server = TestServer::start().await;
    let cases = [
        (3, "abc"),
        (3, "3:abc"),
        (3, "9:40/bus,"),
        (3, "x:4"),
        (3, "1:9"),
        (3, "3:0{}"),
        (3, "1:\u{1d11e}x"),
        (4, "3probe"),
        (4, "abc"),
        (4, "9"),
        (4, "\u{1e}"),
        (4, "0{}"),
    ];
    for (eio, body) in cases {
        let polling = Polling::begin(&server, eio).await;
        assert_eq!(polling.post_body(body).await.status, 400, "{eio} {body}");
        assert_eq!(polling.poll().await.status, 400, "{eio} {body}");
    }
    server.stop().await;
}

/// A packet that has no meaning by polling is refused. The engine goes on with
/// the session, where it might end it; the documents have nothing on it.
#[tokio::test]
async fn a_packet_out_of_place_is_refused() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        for packet in ["5", "6", "2probe"] {
            let polling = joined(&server, eio).await;
            assert_eq!(polling.post(&[packet]).await.status, 400, "{packet}");
            assert_eq!(polling.post(&[CLIENTS]).await.status, 200, "{packet}");
        }
    }
    server.stop().await;
}

/// Behind a close packet; of a body that has something wrong nothing is read.
#[tokio::test]
async fn the_rest_of_a_payload_is_ignored() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let both: &[&str] = &["before", "after"];
        for (last, status, heard) in [("1", 200, both), ("abc", 400, &["after"])] {
            let mut other = Peer::joined(&server, (Transport::WebSocket, eio)).await;
            let polling = joined(&server, eio).await;
            let notify = r#"42/bus,["NOTIFY",{"room":"r","message":"WHICH"}]"#;
            let [before, behind] = ["before", "behind"].map(|w| notify.replace("WHICH", w));
            let posted = polling.post(&[&before, last, &behind]).await;
            assert_eq!(posted.status, status, "{}", posted.body);
            assert_eq!(polling.poll().await.status, 400);
            server.publish("/bus", "r", json!("after"));
            for message in heard {
                let told = other.hears(r#"42/bus,["EVENT","#).await;
                assert!(
                    told.contains(&format!(r#""message":"{message}""#)),
                    "{told}"
                );
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = joined(&server, eio).await;
        let waiting = polling.waiting().await;
        assert_eq!(polling.poll().await.status, 400);
        assert_eq!(polling.told(waiting).await, ["1"]);
        assert_eq!(polling.poll().await.status, 400);
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// Whoever gives up a poll can't know what it would have said.
#[tokio::test]
async fn a_poll_that_is_given_up_ends_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = joined(&server, eio).await;
        drop(polling.waiting().await);
        let ended = async {
            while polling.post_body("").await.status != 400 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, ended).await.expect("it goes on");
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_close_packet_ends_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = joined(&server, eio).await;
        let waiting = polling.waiting().await;
        let posted = polling.post(&["1"]).await;
        assert_eq!((posted.status, posted.body.as_str()), (200, "ok"));
        assert_eq!(polling.told(waiting).await, ["6"]);
        assert_eq!(polling.poll().await.status, 400);
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// As large as the handshake says (Engine.IO v4, "maxPayload"), and one byte more.
#[tokio::test]
async fn a_payload_is_as_large_as_was_said() {
    let server = TestServer::start().await;
    for (more, status) in [(0, 200), (1, 413)] {
        let (polling, said) = Polling::open(&server, 4).await;
        let most = usize::try_from(said["maxPayload"].as_u64().unwrap()).unwrap();
        let name = "x".repeat(most + more - r#"40/bus,{"":1}"#.len());
        let body = format!(r#"40/bus,{{"{name}":1}}"#);
        assert_eq!(polling.post_body(&body).await.status, status);
    }
    server.stop().await;
}

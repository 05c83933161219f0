//! Namespaces (Socket.IO v5, "Connection to a namespace" and "Disconnection from
//! a namespace"; v4, "Packet types": CONNECT, DISCONNECT and ERROR).

use serde_json::Value;

use super::peer::{Peer, Polling};
use super::{JOIN, JOINED, Transport, WAYS, nobody_is_left};
use crate::server::TestServer;

/// In v5 every namespace is asked for, with or without a payload, and its
/// answer says an id and nothing else.
#[tokio::test]
async fn a_client_connects() {
    let server = TestServer::start().await;
    let cases = [
        ("40", "40"),
        (r#"40{"token":"123"}"#, "40"),
        ("40/bus", "40/bus,"),
        ("40/bus,", "40/bus,"),
        (r#"40/bus,{"token":"abc"}"#, "40/bus,"),
    ];
    for way in [(Transport::Polling, 4), (Transport::WebSocket, 4)] {
        for (connect, start) in cases {
            let mut peer = Peer::open(&server, way).await;
            peer.send(&[connect]).await;
            let said: Value = serde_json::from_str(&peer.hears(start).await).unwrap();
            let said = said.as_object().unwrap();
            assert!(said["sid"].is_string() && said.len() == 1, "{said:?}");
        }
    }
    server.stop().await;
}

/// In v4 everybody is in `/` from the start, and an answer says nothing more.
#[tokio::test]
async fn a_client_of_v4_is_connected() {
    let server = TestServer::start().await;
    for way in [(Transport::Polling, 3), (Transport::WebSocket, 3)] {
        for connect in ["40/bus", "40/bus,"] {
            let mut peer = Peer::open(&server, way).await;
            assert_eq!(peer.packet().await.as_deref(), Some("40"));
            peer.send(&[r#"421["JOIN",{"room":"r"}]"#]).await;
            let told = peer.packet().await.unwrap();
            assert!(told.starts_with(r#"431[{"status":"error""#), "{told}");
            let told = peer.packet().await.unwrap();
            assert!(told.starts_with(r#"42["ERROR",{"event":"JOIN""#), "{told}");
            peer.send(&[connect]).await;
            assert_eq!(peer.packet().await.as_deref(), Some("40/bus,"));
        }
    }
    server.stop().await;
}

/// And the session goes on. The reason is an object (v5, "Connection to a
/// namespace"), to clients of v4 a string: Java's takes nothing else.
#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let server = TestServer::start().await;
    for way in WAYS {
        for connect in ["40/random", "40/random,"] {
            let mut peer = Peer::open(&server, way).await;
            peer.send(&[connect]).await;
            let said = peer.hears("44").await;
            let why = match way.1 {
                3 => r#""Invalid namespace `/random`;"#,
                _ => {
                    r#"{"data":{"code":"unknown_namespace"},"message":"Invalid namespace `/random`;"#
                }
            };
            assert!(said.starts_with(&format!("/random,{why}")), "{said}");
            peer.send(&["40/bus,", JOIN]).await;
            peer.hears(JOINED).await;
        }
    }
    server.stop().await;
}

/// Before the CONNECT to a namespace there is nothing to be said in it.
#[tokio::test]
async fn who_does_not_connect_first_ends() {
    let server = TestServer::start().await;
    let cases = [
        "4abc",
        "4",
        "49",
        "41/bus,",
        JOIN,
        "43/bus,1[]",
        "44/bus,{}",
        r#"451-/bus,["x",{"_placeholder":true,"num":0}]"#,
    ];
    for way in WAYS {
        for first in cases {
            let mut peer = Peer::open(&server, way).await;
            // No packet of text may stand between a binary event and its parts.
            let parts = [first, JOIN];
            let binary = first.starts_with("45");
            let parts = &parts[..1 + usize::from(binary)];
            match first.starts_with("41") || first.starts_with("43") || first == JOIN {
                true => peer.send(parts).await,
                false => peer.send_wrong(parts).await,
            }
            peer.ends().await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn who_leaves_a_namespace_stays_in_others() {
    let server = TestServer::start().await;
    for way in WAYS {
        let mut peer = Peer::joined(&server, way).await;
        if way.1 == 4 {
            peer.send(&["40"]).await;
            peer.hears("40{").await;
        }
        peer.send(&["41/bus,", r#"421["JOIN",{"room":"r"}]"#]).await;
        let said = peer.hears("431[").await;
        assert!(said.contains("no_namespace"), "{said}");
        nobody_is_left(&server).await;
        peer.send(&["40/bus,", JOIN]).await;
        peer.hears(JOINED).await;
        peer.send(&["41/bus,"]).await;
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// Who has left is not in it any more: the next word there ends the session. If
/// it says none the session goes on, as the document allows, for as long as it
/// answers the heartbeats.
#[tokio::test]
async fn who_leaves_a_namespace_is_not_in_it() {
    let server = TestServer::start().await;
    let cases = [
        ("", "41", r#"42["x",{}]"#),
        ("/bus", "41/bus,", JOIN),
        ("/bus", "41/bus", JOIN),
    ];
    for way in WAYS {
        for (namespace, leave, more) in cases {
            let mut peer = Peer::connected(&server, way, namespace).await;
            peer.send(&[leave]).await;
            nobody_is_left(&server).await;
            peer.send(&[more]).await;
            peer.ends().await;
        }
    }
    server.stop().await;
}

/// A poll that waits is answered with the refusal: an SDK polls again only then.
#[tokio::test]
async fn a_refusal_reaches_a_poll_that_waits() {
    let server = TestServer::start().await;
    let mut polling = Polling::begin(&server, 3).await;
    assert_eq!(polling.packet().await.unwrap(), "40");
    let waiting = polling.waiting().await;
    assert_eq!(polling.post(&["40/schedule"]).await.status, 200);
    let told = polling.told(waiting).await;
    let refusal = told
        .iter()
        .find(|packet| packet.starts_with("44/schedule,"));
    assert!(refusal.is_some(), "{told:?}");
    server.stop().await;
}

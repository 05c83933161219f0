//! From polling to a WebSocket (Engine.IO v4, "Protocol: Upgrade"; v3,
//! "Transport upgrading").

use std::time::Duration;

use tokio::time::timeout;

use super::peer::{Peer, Polling, packets};
use super::{JOIN, JOINED, VERSIONS, nobody_is_left, pass};
use crate::client::{Client, SOON};
use crate::server::TestServer;

/// A WebSocket for a session that polls.
async fn websocket(polling: &Polling<'_>) -> Client {
    let query = format!("EIO={}&sid={}", polling.eio, polling.sid());
    Client::websocket(polling.server.address, &query).await
}

/// Moves a session.
async fn upgraded(polling: &Polling<'_>) -> Client {
    let mut client = websocket(polling).await;
    client.send("2probe").await;
    assert_eq!(client.any_packet().await.as_deref(), Some("3probe"));
    client.send("5").await;
    client
}

/// What shows that it is on the WebSocket and goes on.
async fn goes_on(client: Client) -> Client {
    let mut peer = Peer::WebSocket(client.into());
    peer.send(&["40/bus,", JOIN]).await;
    peer.hears(JOINED).await;
    match peer {
        Peer::WebSocket(client) => *client,
        Peer::Polling(_) => unreachable!("it was none"),
    }
}

#[tokio::test]
async fn a_session_moves() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let mut polling = Polling::begin(&server, eio).await;
        assert_eq!(polling.post(&["40/bus,"]).await.status, 200);
        while !polling.packet().await.unwrap().starts_with("40/bus") {}
        // A poll that waits ends, and no other does.
        let waiting = polling.waiting().await;
        let mut client = websocket(&polling).await;
        client.send("2probe").await;
        assert_eq!(client.any_packet().await.as_deref(), Some("3probe"));
        assert_eq!(polling.told(waiting).await, ["6"]);
        let polled = polling.poll().await;
        assert_eq!(
            (polled.status, packets(&polled, eio)),
            (200, vec!["6".to_owned()])
        );
        client.send("5").await;
        // What was connected still is.
        client.send(JOIN).await;
        Peer::WebSocket(client.into()).hears(JOINED).await;
    }
    server.stop().await;
}

/// By HTTP nothing is said and nothing is done any more.
#[tokio::test]
async fn who_has_moved_does_not_poll_any_more() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = Polling::begin(&server, eio).await;
        let client = goes_on(upgraded(&polling).await).await;
        assert_eq!(polling.poll().await.status, 400);
        for packet in ["41/bus,", "1", "abc"] {
            assert_eq!(polling.post(&[packet]).await.status, 400);
        }
        goes_on(client).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn who_has_moved_does_not_move_again() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = Polling::begin(&server, eio).await;
        let client = goes_on(upgraded(&polling).await).await;
        let mut second = websocket(&polling).await;
        assert_eq!(second.any_packet().await, None);
        goes_on(client).await;
    }
    server.stop().await;
}

/// A client tries a WebSocket out, and polls on where it fails.
#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        for said in [
            None,
            Some("abc"),
            Some("1"),
            Some("5"),
            Some("2prob3"),
            Some("2prob"),
        ] {
            let mut polling = Polling::begin(&server, eio).await;
            let mut client = websocket(&polling).await;
            if let Some(said) = said {
                client.send(said).await;
                assert_eq!(client.any_packet().await, None, "{said}");
            }
            drop(client);
            polling.post(&["40/bus,", JOIN]).await;
            while !polling
                .packet()
                .await
                .expect("it is over")
                .starts_with(JOINED)
            {}
            goes_on(upgraded(&polling).await).await;
        }
    }
    server.stop().await;
}

/// Of two WebSockets that were tried out the session moves to the first.
#[tokio::test]
async fn a_second_websocket_of_a_session_is_refused() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = Polling::begin(&server, eio).await;
        let (mut first, mut second) = (websocket(&polling).await, websocket(&polling).await);
        first.send("2probe").await;
        second.send("2probe").await;
        first.send("5").await;
        let first = goes_on(first).await;
        second.send("5").await;
        while second.any_packet().await.is_some() {}
        drop(first);
        nobody_is_left(&server).await;
    }
    server.stop().await;
}

/// Nobody has to say anything on a WebSocket.
#[tokio::test]
async fn an_upgrade_that_never_comes_leaves_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let polling = Polling::begin(&server, eio).await;
        assert_eq!(polling.post(&["40/bus,"]).await.status, 200);
        let mut client = websocket(&polling).await;
        pass(Duration::from_secs(6)).await;
        assert_eq!(client.any_packet().await, None);
        goes_on(upgraded(&polling).await).await;
    }
    server.stop().await;
}

/// Behind the probe there is no way back: the engine has given up polling.
#[tokio::test]
async fn an_upgrade_that_breaks_off_ends_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        for said in [None, Some("abc"), Some("1"), Some("2probe")] {
            let mut polling = Polling::begin(&server, eio).await;
            assert_eq!(polling.post(&["40/bus,"]).await.status, 200);
            while !polling.packet().await.unwrap().starts_with("40/bus") {}
            let mut client = websocket(&polling).await;
            client.send("2probe").await;
            assert_eq!(client.any_packet().await.as_deref(), Some("3probe"));
            if let Some(said) = said {
                client.send(said).await;
            }
            drop(client);
            let over = async { while polling.poll().await.status != 400 {} };
            timeout(SOON, over).await.expect("it goes on");
            nobody_is_left(&server).await;
        }
    }
    server.stop().await;
}

//! The send budget of a session: connecting again does not refill it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::lobby::Peer;
use crate::server::TestServer;

/// The rate of `/bus`: burst, and events per second.
const BURST: usize = 500;
const PER_SECOND: u64 = 100;

/// The least time that it takes to send this many events.
fn least(events: usize) -> Duration {
    let above = events.saturating_sub(BURST) as u64;
    // A fraction of a second less: budgets refill from the first event on.
    Duration::from_millis(above * 1_000 / PER_SECOND - 100)
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_anew_gives_no_new_budget() {
    const ROUNDS: usize = 3;
    const SENT: usize = 300;
    for eio in [3, 4] {
        let server = TestServer::start().await;
        let mut client = Client::open_eio(server.address, eio).await;
        if eio == 3 {
            assert_eq!(client.packet().await.unwrap(), "40");
        }
        client.set_namespace("/bus");
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            client.send("40/bus,").await;
            client.connected().await.unwrap();
            let notify = |id| format!(r#"42/bus,{id}["NOTIFY",{{"room":"r","message":1}}]"#);
            let all: Vec<_> = (1_000..1_000 + SENT).map(notify).collect();
            client.send_at_once(&all).await;
            for _ in &all {
                let told = client.packet().await.unwrap();
                assert!(told.contains(r#""status":"ok""#), "{told}");
            }
            client.send("41/bus,").await;
        }
        assert!(begun.elapsed() > least(ROUNDS * SENT), "EIO {eio}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_connects_too_often_is_read_more_slowly() {
    /// The CONNECTs that succeed at once, and those that succeed per second after that.
    const BURST: usize = 32;
    const PER_SECOND: usize = 5;
    let server = TestServer::start().await;
    for namespace in ["/bus", "/nowhere"] {
        let mut client = Client::open(server.address).await;
        client.set_namespace(namespace);
        let begun = Instant::now();
        for _ in 0..=BURST + PER_SECOND {
            client.send(format!("40{namespace},")).await;
            let connected = client.connected().await;
            assert_eq!(connected.is_ok(), namespace == "/bus", "{connected:?}");
            client.send(format!("41{namespace},")).await;
        }
        assert!(begun.elapsed() > Duration::from_millis(900));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_joins_and_leaves_at_a_pace_of_its_own() {
    /// The joins and leaves that succeed at once.
    const BURST: usize = 10;
    let server = TestServer::start().await;
    let mut peer = Peer::come(&server, 4, "a").await;
    let begun = Instant::now();
    for round in 0..=BURST {
        let verb = ["LEAVE", "JOIN"][round % 2];
        assert_eq!(peer.client.ask(verb, "a").await["status"], "ok");
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    // Connecting again does not refill the budget: the next packet is read a second later.
    peer.client.send("41/lobby,").await;
    peer.client.send("40/lobby,").await;
    while !peer.client.packet().await.unwrap().starts_with("40/lobby,") {}
    peer.client.ask("BROADCAST", json!({"message": 1})).await;
    assert!(begun.elapsed() > Duration::from_millis(1_900));
    server.stop().await;
}

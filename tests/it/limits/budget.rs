//! The send budget of a session: connecting again does not refill it.

use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::lobby::Peer;
use crate::server::TestServer;

/// The default rate, which `/bus` has: burst, and events per second.
const BURST: u64 = 64;
const PER_SECOND: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn connecting_anew_gives_no_new_budget() {
    const ROUNDS: u64 = 6;
    for eio in [3, 4] {
        let server = TestServer::start().await;
        let mut client = Client::open_eio(server.address, eio).await;
        if eio == 3 {
            assert_eq!(client.packet().await.unwrap(), "40");
        }
        client.set_namespace("/bus");
        let (start, mut accepted) = (Instant::now(), 0);
        for _ in 0..ROUNDS {
            client.send("40/bus,").await;
            client.connected().await.unwrap();
            let join = client.ask("JOIN", json!({"room": "r", "name": "a"})).await;
            accepted += u64::from(join["status"] == "ok");
            let notify = |id| format!(r#"42/bus,{id}["NOTIFY",{{"room":"r","message":1}}]"#);
            let all: Vec<_> = (1_000..1_000 + BURST).map(notify).collect();
            client.send_at_once(&all).await;
            for _ in &all {
                let told = client.packet().await.unwrap();
                accepted += u64::from(told.contains(r#""status":"ok""#));
            }
            client.send("41/bus,").await;
        }
        let most = BURST + PER_SECOND * (start.elapsed().as_secs() + 1);
        assert!(accepted <= most, "{accepted} of {most}, EIO {eio}");
        assert!(accepted >= BURST, "{accepted}, EIO {eio}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_connects_too_often_is_refused_and_then_ends() {
    /// This many CONNECTs succeed at once; then this many are refused before the close.
    const CONNECTS: usize = 32;
    const REFUSED: usize = 32;
    let server = TestServer::start().await;
    let mut client = Client::open(server.address).await;
    client.set_namespace("/bus");
    let (mut accepted, mut refused) = (0, 0);
    loop {
        client.send("40/bus,").await;
        match client.packet().await {
            Some(answer) if answer.starts_with("40/bus,") => accepted += 1,
            Some(answer) if answer.starts_with("44/bus,") => {
                assert!(answer.contains("too_fast"), "{answer}");
                refused += 1;
                continue;
            }
            Some(other) => panic!("{other}"),
            None => break,
        }
        // So that the engine is through with it.
        client.ask("LEAVE", json!({"room": "r"})).await;
        client.send("41/bus,").await;
    }
    // Some more succeed meanwhile: five per second.
    assert!((CONNECTS..2 * CONNECTS).contains(&accepted), "{accepted}");
    assert!((REFUSED..8 * REFUSED).contains(&refused), "{refused}");
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_joins_and_leaves_at_a_pace_of_its_own() {
    const MOST: usize = 16;
    let server = TestServer::start().await;
    let mut peer = Peer::come(&server, 4, "a").await;
    let mut codes = Vec::new();
    for round in 0..40 {
        let verb = ["LEAVE", "JOIN"][round % 2];
        let told = peer.client.ask(verb, "a").await;
        codes.push(told["code"].as_str().unwrap_or("ok").to_owned());
    }
    let count = |what: &str| codes.iter().filter(|code| *code == what).count();
    assert!((8..MOST).contains(&count("ok")), "{codes:?}");
    assert!(count("too_fast") >= 40 - MOST, "{codes:?}");
    // Connecting again does not refill the budget.
    peer.client.send("41/lobby,").await;
    peer.client.send("40/lobby,").await;
    let told = loop {
        let packet = peer.client.packet().await.unwrap();
        if packet.starts_with("42/lobby,") && packet.contains("ERROR") {
            break packet;
        }
    };
    assert!(told.contains("too_fast"), "{told}");
    // Events to other peers have a budget of their own.
    let told = peer.client.ask("BROADCAST", json!({"message": 1})).await;
    assert_ne!(told["code"], "too_fast", "{told}");
    server.stop().await;
}

//! Thousands of connections while the backend is away: they stay, what waits of them
//! is bounded, nobody else notices, and nothing is lost.

use std::time::Duration;

use axum::http::Method;
use futures_util::{SinkExt, StreamExt, stream};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::Client;
use super::backend::{Backend, Called, Does, ok};
use super::program::Running;
use crate::client::{Client as SocketIo, SOON};

/// Fewer where the system allows fewer open files.
const CLIENTS: usize = 5_000;

/// Descriptors for everything but the clients.
const SPARE: u64 = 1_000;

/// What each sends while the backend is away.
const MESSAGES: usize = 3;

/// The most that waits of all connections (`waiting.rs`).
const WAITING_MOST: usize = 64 << 20;

/// How many connect or write at once: what the backlog of a listener takes.
const AT_ONCE: usize = 100;

/// Gigabytes go through builds without optimisation.
const LONG: Duration = SOON.saturating_mul(15);

#[tokio::test]
async fn thousands_stay_while_the_backend_is_away_and_lose_nothing() {
    let open = rlimit::increase_nofile_limit(CLIENTS as u64 + SPARE).unwrap();
    let count = CLIENTS.min(open.saturating_sub(SPARE) as usize);
    // All of it is half as much again as what may wait, and one for each.
    let size = 3 * WAITING_MOST / (2 * (MESSAGES - 1) * count);
    let mut backend = Backend::start().await;
    let running = Running::start(&backend.target(), &["--webhook-retry", "10m"]).await;
    let connecting = (0..count).map(|_| async { Client::connect(running.ws).await.unwrap() });
    let mut clients: Vec<_> = stream::iter(connecting)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    backend.die().await;

    let message = |number: usize| Message::binary(vec![number as u8; size]);
    // Who is not read can't write to the end: that is what is bounded.
    let writing = clients.iter_mut().map(|client| async move {
        for number in 0..MESSAGES {
            client.0.feed(message(number)).await.unwrap();
        }
        client.0.flush().await.unwrap();
    });
    let writing = stream::iter(writing)
        .buffer_unordered(count)
        .collect::<Vec<_>>();
    let bound = (WAITING_MOST + count * size) as f64;
    let away = async {
        let mut most = 0.0_f64;
        while most < WAITING_MOST as f64 {
            most = most.max(running.figure("roomcast_webhook_waiting_bytes").await);
            assert!(most <= bound, "{most} of {bound}");
        }
        let begun = Instant::now();
        let mut other = SocketIo::connect(running.program.address, "/bus")
            .await
            .unwrap();
        for _ in 0..10 {
            assert_eq!(
                other.ask("CLIENTS", json!({"room": "r"})).await["status"],
                "ok"
            );
        }
        assert!(begun.elapsed() < SOON, "slow: {:?}", begun.elapsed());
        assert_eq!(Client::connect(running.ws).await.err(), Some(502));
        assert!(running.figure("roomcast_webhook_waiting_bytes").await <= bound);
        backend.come_back();
    };
    let both = async { tokio::join!(writing, away) };
    timeout(LONG, both).await.expect("hangs");

    let all = count * (1 + MESSAGES);
    backend.within(LONG, |calls| calls.len() >= all).await;
    // They are all there, and what they say comes.
    for client in &mut clients {
        client.send(message(MESSAGES)).await;
    }
    let calls = backend
        .within(LONG, |calls| calls.len() >= all + count)
        .await;
    each_has_said_all(&calls, count, size);
    drop(clients);
}

/// Also what is under way, which is kept to be sent again.
#[tokio::test]
async fn what_is_not_delivered_yet_counts_as_waiting() {
    const SIZE: usize = 10_000;
    let backend = Backend::start().await;
    let running = Running::start(&backend.target(), &[]).await;
    let mut clients = running.clients(3).await;
    backend.does(|_| Does::Hangs);
    for client in &mut clients {
        client.send(Message::binary([0; SIZE].to_vec())).await;
    }
    backend.called(2 * clients.len()).await;
    let waiting = running.figure("roomcast_webhook_waiting_bytes").await;
    assert_eq!(waiting, (clients.len() * SIZE) as f64);
    backend.does(|_| ok());
    let none = async { while running.figure("roomcast_webhook_waiting_bytes").await > 0.0 {} };
    timeout(SOON, none).await.expect("something is left");
}

fn each_has_said_all(calls: &[Called], count: usize, size: usize) {
    let mut next = std::collections::HashMap::<&str, usize>::new();
    for call in calls.iter().filter(|call| call.method == Method::PUT) {
        let number = next.entry(&call.id).or_default();
        assert_eq!(
            (call.body.len(), usize::from(call.body[0])),
            (size, *number)
        );
        *number += 1;
    }
    assert_eq!(next.len(), count);
    assert!(next.values().all(|number| *number == MESSAGES + 1));
}

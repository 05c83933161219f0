//! A backend that is reached and does badly: whom that costs what, and whom nothing.

use std::time::Duration;

use axum::http::Method;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::backend::{Called, Does, ok};
use super::{Client, Pair, answered};
use crate::client::SOON;

fn of(calls: &[Called], method: &Method) -> usize {
    calls.iter().filter(|call| call.method == *method).count()
}

fn is_put(call: &Called, text: &str) -> bool {
    call.method == Method::PUT && call.body == text
}

/// Clients with a message each, on which the backend does something.
async fn clients(pair: &Pair, count: usize, message: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(pair.ws).await.unwrap();
        client.send(message).await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn waiting_behind_others_costs_nothing_of_the_time_to_deliver() {
    const CLIENTS: usize = 600;
    let pair = Pair::start(&["--webhook-retry", "1s"]).await;
    pair.backend.does(|call| match call.method {
        Method::POST => ok(),
        _ => Does::Hangs,
    });
    let crowd = clients(&pair, CLIENTS, "m").await;
    // As many hang as may be under way; the others have not been tried when they would
    // have been given up.
    let under_way = |calls: &[Called]| of(calls, &Method::PUT) >= 256;
    pair.backend.until(under_way).await;
    pair.backend.does(|_| ok());
    drop(crowd);
    let all = |calls: &[Called]| of(calls, &Method::DELETE) == CLIENTS;
    let calls = pair.backend.within(4 * SOON, all).await;
    let mut taken: Vec<_> = calls.iter().filter(|c| c.method == Method::PUT).collect();
    taken.dedup_by_key(|call| call.id.clone());
    assert!(taken.len() >= CLIENTS, "{} of {CLIENTS}", taken.len());
    pair.server.stop().await;
}

/// The server asks the backend about 64 clients at once; the others wait in a queue.
#[tokio::test]
async fn the_backend_is_not_asked_about_clients_that_stopped_waiting() {
    const ASKED: usize = 64;
    let pair = Pair::start(&["--ws-timeout", "3000"]).await;
    pair.backend.does(|_| Does::Hangs);
    let connect = || tokio::spawn(Client::connect(pair.ws));
    let asked: Vec<_> = (0..ASKED).map(|_| connect()).collect();
    pair.backend.called(ASKED).await;
    let queued: Vec<_> = (0..ASKED).map(|_| connect()).collect();
    // The timeout of the calls is twice that of the clients.
    for client in asked.into_iter().chain(queued) {
        assert_eq!(client.await.unwrap().err(), Some(504));
    }
    pair.backend.does(|_| ok());
    // The next client was in the queue behind them.
    drop(Client::connect(pair.ws).await.expect("it is let in"));
    pair.server.stop().await;
    let calls = pair.backend.calls();
    assert_eq!(of(&calls, &Method::POST), ASKED + 1);
}

#[tokio::test]
async fn messages_that_fail_hold_up_no_others() {
    for does in [Does::Wants(500, None), Does::Hangs, Does::Wants(429, None)] {
        let pair = Pair::start(&[]).await;
        let bad = does.clone();
        pair.backend.does(move |call| match is_put(call, "bad") {
            true => bad.clone(),
            false => ok(),
        });
        let crowd = clients(&pair, 50, "bad").await;
        pair.backend
            .until(|calls| of(calls, &Method::PUT) >= 50)
            .await;
        let mut good = Client::connect(pair.ws).await.expect("it is let in");
        good.send("good").await;
        let came = |calls: &[Called]| calls.iter().any(|call| is_put(call, "good"));
        timeout(SOON, pair.backend.until(came))
            .await
            .expect("held up");
        pair.backend.does(|_| ok());
        drop((crowd, good));
        pair.server.stop().await;
    }
}

#[tokio::test]
async fn what_the_backend_has_taken_is_sent_once_whatever_it_says_then() {
    let pair = Pair::start(&["--ws-timeout", "300", "--webhook-retry", "2s"]).await;
    let (mut client, id) = pair.client().await;
    pair.backend.does(|_| Does::Stalls);
    for text in ["a", "b"] {
        client.send(text).await;
    }
    drop(client);
    pair.backend
        .until(|calls| of(calls, &Method::DELETE) == 1)
        .await;
    pair.server.stop().await;
    let calls = pair.backend.calls_of(&id);
    let methods: Vec<_> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["POST", "PUT", "PUT", "DELETE"]);
}

#[tokio::test]
async fn who_wants_to_be_asked_again_at_once_is_not_asked_in_a_loop() {
    let pair = Pair::start(&["--webhook-retry", "1s"]).await;
    let (mut client, _) = pair.client().await;
    pair.backend.does(|call| match call.method {
        Method::PUT => Does::Wants(503, Some(0)),
        _ => ok(),
    });
    client.send("x").await;
    assert_eq!(client.closed().await, 1011);
    let tries = of(&pair.backend.calls(), &Method::PUT);
    assert!((2..20).contains(&tries), "{tries}");
    drop(client);
    pair.server.stop().await;
}

#[tokio::test]
async fn the_last_words_come_before_the_end() {
    const WORDS: usize = 35;
    let pair = Pair::start(&[]).await;
    let (mut client, id) = pair.client().await;
    let path = format!("/{id}");
    let long = "x".repeat(100_000);
    for number in 0..WORDS {
        let answer = pair.rest("PUT", &path, &format!("{number} {long}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(pair.rest("DELETE", &path, "").await.status, 200);
    for number in 0..WORDS {
        let text = client.text().await;
        assert!(text.starts_with(&format!("{number} ")), "{number}");
    }
    assert_eq!(client.closed().await, 1000);
    drop(client);
    pair.server.stop().await;
}

/// It does not answer the close frame, and goes on.
#[tokio::test]
async fn who_is_closed_has_nothing_more_to_say() {
    let pair = Pair::start(&[]).await;
    let (mut client, id) = pair.client().await;
    client.send("before").await;
    pair.backend.called(2).await;
    let path = format!("/{id}");
    assert_eq!(pair.rest("DELETE", &path, "").await.status, 200);
    for _ in 0..20 {
        // Nobody reads it any more, at some time.
        let sent = futures_util::SinkExt::send(&mut client.0, Message::text("late")).await;
        if sent.is_err() {
            break;
        }
    }
    let told = |calls: &[Called]| of(calls, &Method::DELETE) == 1;
    let calls = pair.backend.within(Duration::from_secs(10), told).await;
    assert_eq!(calls.last().unwrap().method, Method::DELETE);
    let write = pair.rest("PUT", &path, "x").await;
    assert_eq!(answered(&write), (404, "NOT_FOUND".into()));
    drop(client);
    pair.server.stop().await;
    assert!(!pair.backend.calls().iter().any(|call| is_put(call, "late")));
}

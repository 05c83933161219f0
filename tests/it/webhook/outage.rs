//! A backend that fails for a while, or for somebody: nothing is lost, nothing out of
//! order, and who can't be served is told so.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::Method;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::backend::{Called, Does, ok};
use super::{Client, Pair, pass};
use crate::client::SOON;
use crate::http::get;

/// How much time passes at once, how long everybody may act in between, and after
/// how much of it something hangs: no call matters for so long.
const STEP: Duration = Duration::from_millis(500);
const AWHILE: Duration = Duration::from_millis(50);
const STEPS_MOST: usize = 300;

/// What a client's message is taken for here: its number.
fn number(call: &Called) -> usize {
    call.text().parse().unwrap()
}

/// What each connection has sent, without what came once more.
fn heard(calls: &[Called]) -> HashMap<&str, Vec<usize>> {
    let (mut heard, mut known) = (HashMap::<_, Vec<_>>::new(), HashSet::new());
    for call in calls.iter().filter(|call| call.method == Method::PUT) {
        if known.insert(call.header("webhook-id")) {
            heard.entry(&*call.id).or_default().push(number(call));
        }
    }
    heard
}

/// Lets time pass until this is done, in steps that let everybody act in between.
pub async fn in_time<T>(pair: &Pair, done: impl Future<Output = T>) -> T {
    let mut done = pin!(done);
    for _ in 0..STEPS_MOST {
        pass(STEP).await;
        get(pair.server.address, "/health", "").await;
        if let Ok(done) = timeout(AWHILE, &mut done).await {
            return done;
        }
    }
    panic!("hangs");
}

#[tokio::test]
async fn nothing_is_lost_or_out_of_order_over_ten_seconds_without_a_backend() {
    const CLIENTS: usize = 50;
    /// As many before, in and after it; more than waits of one connection.
    const EACH: usize = 20;
    let mut pair = Pair::start(&[]).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(pair.ws).await.unwrap());
    }
    let send = async |clients: &mut [Client], turn: usize| {
        for number in turn * EACH..(turn + 1) * EACH {
            for client in &mut *clients {
                client.send(number.to_string()).await;
            }
        }
    };
    send(&mut clients, 0).await;
    // In the middle of it.
    pair.backend.called(CLIENTS + CLIENTS * EACH / 2).await;
    pair.backend.die().await;
    let died = Instant::now();
    send(&mut clients, 1).await;
    while died.elapsed() < Duration::from_secs(10) {
        pass(STEP).await;
        get(pair.server.address, "/health", "").await;
    }
    pair.backend.come_back();
    send(&mut clients, 2).await;
    let all = |calls: &[Called]| {
        calls.len() >= CLIENTS * (1 + 3 * EACH)
            && heard(calls).values().map(Vec::len).sum::<usize>() == CLIENTS * 3 * EACH
    };
    let calls = in_time(&pair, pair.backend.within(SOON.saturating_mul(6), all)).await;
    let heard = heard(&calls);
    assert_eq!(heard.len(), CLIENTS);
    for numbers in heard.values() {
        assert_eq!(*numbers, (0..3 * EACH).collect::<Vec<_>>());
    }
    drop(clients);
    let gone =
        |calls: &[Called]| calls.iter().filter(|c| c.method == Method::DELETE).count() == CLIENTS;
    in_time(&pair, pair.backend.until(gone)).await;
    pair.server.stop().await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_it_was_and_when_the_backend_wants() {
    let cases = [(500, None), (503, Some(3)), (429, Some(3)), (429, None)];
    for (status, after) in cases {
        let pair = Pair::start(&[]).await;
        let (mut client, _) = pair.client().await;
        let known = Mutex::new(HashSet::new());
        pair.backend.does(move |call| {
            let id = call.header("webhook-id").to_owned();
            match known.lock().unwrap().insert(id) {
                true => Does::Wants(status, after),
                false => ok(),
            }
        });
        client.send("7").await;
        pair.backend.called(2).await;
        if let Some(seconds) = after {
            pass(Duration::from_secs(seconds - 1)).await;
            get(pair.server.address, "/health", "").await;
            assert_eq!(pair.backend.calls().len(), 2, "{status}: too soon");
        }
        let calls = in_time(&pair, pair.backend.called(3)).await;
        let [first, second] = &calls[1..] else {
            panic!("{status}: {calls:#?}");
        };
        for call in [first, second] {
            assert_eq!((&call.method, number(call)), (&Method::PUT, 7), "{status}");
        }
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
        client.send("8").await;
        let calls = in_time(&pair, pair.backend.called(4)).await;
        assert_ne!(calls[3].header("webhook-id"), second.header("webhook-id"));
        drop(client);
        in_time(&pair, pair.backend.called(7)).await;
        pair.server.stop().await;
    }
}

#[tokio::test]
async fn who_cannot_be_served_is_closed_with_1011_and_told_of() {
    // At once if it would take too long; else when no time is left.
    let cases = [(503, Some(u64::MAX), false), (500, None, true)];
    for (status, after, is_tried_again) in cases {
        let pair = Pair::start(&["--webhook-retry", "10s"]).await;
        let (mut client, id) = pair.client().await;
        pair.backend.does(move |call| match call.method {
            Method::PUT => Does::Wants(status, after),
            _ => ok(),
        });
        for number in ["1", "2", "3"] {
            client.send(number).await;
        }
        assert_eq!(in_time(&pair, client.closed()).await, 1011, "{status}");
        // Its answer to that goes out.
        while let Some(Ok(_)) = client.0.next().await {}
        let gone = |calls: &[Called]| calls.last().unwrap().method == Method::DELETE;
        in_time(&pair, pair.backend.until(gone)).await;
        let calls = pair.backend.calls_of(&id);
        let puts = &calls[1..calls.len() - 1];
        assert!(puts.iter().all(|call| number(call) == 1), "{status}");
        assert_eq!(puts.len() > 1, is_tried_again, "{status}");
        pair.server.stop().await;
    }
}

#[tokio::test]
async fn a_message_on_which_the_backend_hangs_holds_up_nobody_else() {
    let pair = Pair::start(&[]).await;
    let (mut held_up, first) = pair.client().await;
    let (mut other, second) = pair.client().await;
    let hangs = first.clone();
    pair.backend.does(move |call| match call.id == hangs {
        true => Does::Hangs,
        false => ok(),
    });
    held_up.send("0").await;
    pair.backend.called(3).await;
    for number in 0..100 {
        other.send(number.to_string()).await;
    }
    let calls = pair.backend.called(3 + 100).await;
    assert_eq!(heard(&calls)[&*second], (0..100).collect::<Vec<_>>());
    assert!(Client::connect(pair.ws).await.is_ok());
    pair.backend.does(|_| ok());
    held_up.send("1").await;
    let both = |calls: &[Called]| heard(calls)[&*first] == [0, 1];
    pair.backend.until(both).await;
    drop((held_up, other));
    pair.server.stop().await;
}

/// Nobody is left who would call it: a client that comes is who finds out.
#[tokio::test]
async fn clients_come_in_again_once_the_backend_is_back() {
    let mut pair = Pair::start(&[]).await;
    pair.backend.die().await;
    for _ in 0..20 {
        assert_eq!(Client::connect(pair.ws).await.err(), Some(502));
    }
    pair.backend.come_back();
    let let_in = async { while Client::connect(pair.ws).await.is_err() {} };
    in_time(&pair, let_in).await;
    pair.server.stop().await;
}

/// Nor does it keep out who comes.
#[tokio::test]
async fn a_message_that_the_backend_cannot_take_opens_no_breaker() {
    let pair = Pair::start(&[]).await;
    let (mut client, _) = pair.client().await;
    pair.backend.does(|call| match call.method {
        Method::PUT => Does::Wants(500, None),
        _ => ok(),
    });
    client.send("1").await;
    // More than it takes to be sure of an outage.
    let tried = |calls: &[Called]| calls.iter().filter(|c| c.method == Method::PUT).count() > 6;
    in_time(&pair, pair.backend.until(tried)).await;
    assert!(Client::connect(pair.ws).await.is_ok());
    drop(client);
    pair.server.stop().await;
}

//! Ten thousand subscribers of one channel: each push reaches everybody once and in
//! order, and a private one only those that it names.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::PUSH;
use super::publisher::Publisher;
use super::subscriber::{Subscriber, written};
use crate::crowd::alone::alone;
use crate::crowd::permits;
use crate::program::Program;

const SUBSCRIBERS: usize = 10_000;

/// Pushes that everybody hears.
const PUSHES: usize = 100;

/// How many are pushed before everybody has to have heard them: far fewer than may
/// wait for one.
const BURST: usize = 25;

/// Every so many-th subscriber is told something that no other hears.
const CHOSEN: usize = 100;

/// Connections that are opened at once.
const AT_ONCE: usize = 200;

const CHANNEL: &str = "crowd";

struct Scene {
    /// What is pushed, as all hear it, and what the chosen ones hear.
    pushes: Vec<String>,
    private: String,
    opening: Semaphore,
    heard: Semaphore,
    /// Until the test is over nobody goes.
    over: Mutex<()>,
}

fn message(number: usize) -> Value {
    let text = "x".repeat(number * 37 % 900);
    json!({"number": number, "text": text})
}

impl Scene {
    async fn run(
        &self,
        ws: std::net::SocketAddr,
        index: usize,
        joined: mpsc::UnboundedSender<(usize, String)>,
    ) {
        let opening = self.opening.acquire().await.unwrap();
        let mut subscriber = Subscriber::connect(ws).await;
        let before = subscriber.subscribe(CHANNEL).await;
        assert!(before.is_empty(), "{before:?}");
        drop(opening);
        joined.send((index, subscriber.uuid.clone())).unwrap();
        for (number, push) in self.pushes.iter().enumerate() {
            if number == PUSHES / 2 && index.is_multiple_of(CHOSEN) {
                assert_eq!(subscriber.next_written().await, self.private);
            }
            assert_eq!(subscriber.next_written().await, push);
            if (number + 1).is_multiple_of(BURST) {
                self.heard.add_permits(1);
            }
        }
        drop(self.over.lock().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hear_each_push_once_and_private_ones_only_who_is_named() {
    let (_alone, subscribers) = alone(SUBSCRIBERS).await;
    let begun = Instant::now();
    let program = Program::start(&PUSH).await;
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    let token = publisher.create(json!({"channel": CHANNEL})).await;
    let private = json!("for you only");
    let scene = Arc::new(Scene {
        pushes: (0..PUSHES)
            .map(|number| written(CHANNEL, &message(number)))
            .collect(),
        private: written(CHANNEL, &private),
        opening: Semaphore::new(AT_ONCE),
        heard: Semaphore::new(0),
        over: Mutex::default(),
    });
    let over = scene.over.lock().await;
    let (tell, mut joined) = mpsc::unbounded_channel();
    let ws = program.address_of("push ws");
    let run = |index| {
        let (scene, tell) = (scene.clone(), tell.clone());
        tokio::spawn(async move { scene.run(ws, index, tell).await })
    };
    let running: Vec<_> = (0..subscribers).map(run).collect();
    drop(tell);
    let mut chosen = Vec::new();
    for _ in 0..subscribers {
        let (index, uuid) = joined.recv().await.expect("somebody did not come");
        if index.is_multiple_of(CHOSEN) {
            chosen.push(uuid);
        }
    }
    let there = begun.elapsed();
    // The connection before may have been idle for too long.
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    for number in 0..PUSHES {
        if number == PUSHES / 2 {
            let sent = publisher.push(CHANNEL, &token, &chosen, private.clone());
            assert_eq!(sent.await, 200);
        }
        let sent = publisher.push(CHANNEL, &token, &[], message(number));
        assert_eq!(sent.await, 200);
        if (number + 1).is_multiple_of(BURST) {
            permits(&scene.heard, subscribers, "heard a burst").await;
            publisher = Publisher::connect(program.address_of("push http")).await;
        }
    }
    drop(over);
    for ended in join_all(running).await {
        ended.unwrap();
    }
    println!(
        "{subscribers} subscribers there by {there:?}, {PUSHES} pushes heard by {:?}",
        begun.elapsed()
    );
}

//! A channel is deleted and made again in a storm of pushes: what was answered was
//! heard, what is over stays silent, and nobody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::PUSH;
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::crowd::permits;
use crate::program::Program;

/// The one that is deleted, and two that stay.
const DOOMED: &str = "doomed";
const STAYS: [&str; 2] = ["left", "right"];

/// Backends that push to the doomed one as fast as they can.
const BACKENDS: usize = 3;

/// Subscribers of the doomed channel and of one that stays.
const SUBSCRIBERS: usize = 60;

/// Pushes that each of those backends has got rid of before the deletion.
const BEFORE: usize = 100;

/// Pushes to the channel that is made anew.
const ANEW: u64 = 50;

struct Scene {
    http: SocketAddr,
    ws: SocketAddr,
    /// The answer to the deletion is here.
    deleted: AtomicBool,
    over: AtomicBool,
    /// One permit for each push to the doomed channel that was answered.
    answered: Semaphore,
    subscribed: Semaphore,
    /// What each backend got rid of before the end of the first channel.
    sent: watch::Sender<Option<[u64; BACKENDS]>>,
}

impl Scene {
    /// Pushes to the doomed channel until it is gone; how many were taken.
    async fn storms(&self, backend: usize, token: &str) -> u64 {
        let mut publisher = Publisher::connect(self.http).await;
        for number in 0.. {
            let was_deleted = self.deleted.load(Ordering::SeqCst);
            let message = json!({"backend": backend, "number": number});
            match publisher.push(DOOMED, token, &[], message).await {
                200 => assert!(!was_deleted, "pushed to what is gone"),
                404 | 403 => return number,
                other => panic!("{other}"),
            }
            self.answered.add_permits(1);
        }
        unreachable!("it ends by the deletion")
    }

    /// Pushes to a channel that stays until all is over, and says so in the last one.
    async fn goes_on(&self, channel: &str, token: &str) {
        let mut publisher = Publisher::connect(self.http).await;
        for number in 0.. {
            let is_last = self.over.load(Ordering::SeqCst);
            let message = json!({"number": number, "last": is_last});
            assert_eq!(publisher.push(channel, token, &[], message).await, 200);
            if is_last {
                return;
            }
        }
    }

    /// Hears a channel that stays and the doomed one, and maybe the new one.
    async fn listens(&self, index: usize) {
        let (stays, comes_back) = (STAYS[index % 2], index.is_multiple_of(4));
        let mut heard = Heard::default();
        let mut subscriber = Subscriber::connect(self.ws).await;
        for channel in [stays, DOOMED] {
            let before = subscriber.subscribe(channel).await;
            assert!(before.is_empty(), "{before:?}");
        }
        self.subscribed.add_permits(1);
        let has_old = |heard: &Heard| *self.sent.borrow() == Some(heard.old);
        let mut anew = 0;
        if comes_back {
            while !has_old(&heard) {
                heard.take(stays, subscriber.next().await);
            }
            for push in subscriber.subscribe(DOOMED).await {
                heard.take(stays, push);
            }
            self.subscribed.add_permits(1);
            anew = ANEW;
        }
        while !heard.last || heard.anew < anew || !has_old(&heard) {
            heard.take(stays, subscriber.next().await);
        }
        assert_eq!(heard.anew, anew);
    }
}

/// How much a subscriber has heard of each.
#[derive(Default)]
struct Heard {
    stays: u64,
    old: [u64; BACKENDS],
    anew: u64,
    /// It has heard the end of the channel that stays.
    last: bool,
}

impl Heard {
    /// The next push: it has to be the next one of its backend.
    fn take(&mut self, stays: &str, push: Value) {
        let message = &push["message"];
        let of = match (push["channel"].as_str(), message["backend"].as_u64()) {
            (Some(channel), None) if channel == stays => &mut self.stays,
            (Some(DOOMED), Some(backend)) => &mut self.old[backend as usize],
            (Some(DOOMED), None) => &mut self.anew,
            _ => panic!("of another channel: {push}"),
        };
        assert_eq!(message["number"], *of, "{push}");
        *of += 1;
        self.last |= message["last"] == true;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_deleted_in_a_storm_takes_nothing_with_it() {
    let program = Program::start(&PUSH).await;
    let scene = Arc::new(Scene {
        http: program.address_of("push http"),
        ws: program.address_of("push ws"),
        deleted: AtomicBool::default(),
        over: AtomicBool::default(),
        answered: Semaphore::new(0),
        subscribed: Semaphore::new(0),
        sent: watch::Sender::new(None),
    });
    let mut publisher = Publisher::connect(scene.http).await;
    let token = publisher.create(json!({"channel": DOOMED})).await;
    let mut going_on = Vec::new();
    let mut tokens = Vec::new();
    for channel in STAYS {
        tokens.push(publisher.create(json!({"channel": channel})).await);
    }
    let listening: Vec<_> = (0..SUBSCRIBERS)
        .map(|index| {
            let scene = scene.clone();
            tokio::spawn(async move { scene.listens(index).await })
        })
        .collect();
    permits(&scene.subscribed, SUBSCRIBERS, "subscribed").await;
    for (channel, token) in STAYS.into_iter().zip(tokens) {
        let scene = scene.clone();
        going_on.push(tokio::spawn(
            async move { scene.goes_on(channel, &token).await },
        ));
    }
    let storming = (0..BACKENDS).map(|backend| {
        let (scene, token) = (scene.clone(), token.clone());
        tokio::spawn(async move { scene.storms(backend, &token).await })
    });
    let storming: Vec<_> = storming.collect();

    permits(&scene.answered, BACKENDS * BEFORE, "pushed").await;
    assert_eq!(publisher.delete(DOOMED, &token).await, 200);
    scene.deleted.store(true, Ordering::SeqCst);
    assert_eq!(publisher.ping(DOOMED, &token).await, 404);
    let anew = publisher.create(json!({"channel": DOOMED})).await;
    assert_eq!(publisher.ping(DOOMED, &token).await, 403, "the old token");
    let mut sent = [0; BACKENDS];
    for (sent, storm) in sent.iter_mut().zip(join_all(storming).await) {
        *sent = storm.unwrap();
    }
    scene.sent.send_replace(Some(sent));

    let back = SUBSCRIBERS.div_ceil(4);
    permits(&scene.subscribed, back, "subscribed again").await;
    for number in 0..ANEW {
        let message = json!({"number": number});
        assert_eq!(publisher.push(DOOMED, &anew, &[], message).await, 200);
    }
    scene.over.store(true, Ordering::SeqCst);
    for ended in join_all(going_on.into_iter().chain(listening)).await {
        ended.unwrap();
    }
}

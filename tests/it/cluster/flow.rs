//! Events that flow at several nodes while something is done to what joins them, and
//! what everybody at every door has to hear of them. Knows no way to disturb it.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::bus::post;
use super::ears::Ears;
use crate::client::SOON;
use crate::http::get;
use crate::server::TestServer;

/// How many events each publisher may have said when the disturbance is over: its
/// last one then ends what is listened to.
pub const EVENTS: u64 = 200;

/// How far the publishers, one at each node, have come and may go.
pub struct Pace {
    allowed: watch::Sender<u64>,
    said: Vec<watch::Sender<u64>>,
}

impl Pace {
    fn of(publishers: usize) -> Self {
        Self {
            allowed: watch::Sender::new(0),
            said: (0..publishers).map(|_| watch::Sender::new(0)).collect(),
        }
    }

    /// Each may say so many events.
    pub fn allows(&self, many: u64) {
        self.allowed.send_replace(many);
    }

    /// Waits until each has said so many, and was answered.
    pub async fn have_said(&self, many: u64) {
        for said in &self.said {
            reaches(said, many).await;
        }
    }

    async fn publishes(&self, server: &TestServer, room: &str, by: usize) {
        for number in 0..=EVENTS {
            reaches(&self.allowed, number + 1).await;
            let message = json!({"by": by, "number": number});
            let answer = post(server, &format!("/api/bus/{room}"), &message).await;
            let answer: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(answer["offset"].is_string(), "{answer}");
            self.said[by].send_replace(number + 1);
        }
    }
}

/// While this is done, publishers at all nodes speak as they are allowed to; then
/// everybody has heard each event once, and those of one publisher in their order.
pub async fn is_heard_once(nodes: &[TestServer], room: &str, done: impl AsyncFnOnce(&Pace)) {
    let pace = Pace::of(nodes.len());
    let ears = nodes.iter().map(|node| Ears::open(node, "/bus", room));
    let mut ears = join_all(ears).await;
    let publishers = nodes.iter().enumerate();
    let publishing = publishers.map(|(by, node)| pace.publishes(node, room, by));
    let doing = async {
        done(&pace).await;
        pace.allows(EVENTS);
        pace.have_said(EVENTS).await;
        for node in nodes {
            is_joined(node, true).await;
        }
        pace.allows(EVENTS + 1);
    };
    let listening = ears.iter_mut().map(|ears| hears(ears, nodes.len()));
    tokio::join!(join_all(publishing), doing, join_all(listening));
}

/// Listens until all publishers have ended.
async fn hears(ears: &mut Ears<'_>, publishers: usize) {
    let mut next = vec![0; publishers];
    while next.iter().any(|next| *next <= EVENTS) {
        let event = ears.hear().await;
        let message = &event["message"];
        let by = message["by"].as_u64().unwrap() as usize;
        assert_eq!(message["number"], next[by], "of {by}: {event}");
        next[by] += 1;
    }
}

/// Waits until a node says of itself that it is one with the others, or alone.
pub async fn is_joined(node: &TestServer, joined: bool) {
    says(node.address, joined).await;
}

/// The same of any server.
pub async fn says(server: SocketAddr, joined: bool) {
    let said = async {
        loop {
            let health = get(server, "/health", "").await;
            let health: Value = serde_json::from_str(&health.body).unwrap();
            assert_eq!(health["broker"]["kind"], "redis", "{health}");
            if health["broker"]["connected"] == joined {
                let expected = if joined { "ok" } else { "degraded" };
                return assert_eq!(health["status"], expected, "{health}");
            }
        }
    };
    timeout(SOON, said)
        .await
        .expect("its health stays as it is");
}

async fn reaches(number: &watch::Sender<u64>, least: u64) {
    let mut number = number.subscribe();
    let reached = number.wait_for(|number| *number >= least);
    timeout(SOON, reached)
        .await
        .expect("it stands still")
        .unwrap();
}

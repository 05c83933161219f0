//! A room of `/bus`: heard at every door in one order, whoever publishes; who is in
//! it is counted on all nodes. And what a backend says to one client.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use super::ears::{Ear, Ears, Heard, number};
use super::nodes::{Stage, are_in};
use crate::api::BEARER;
use crate::client::Client;
use crate::http::{Answer, post_with};
use crate::server::TestServer;
use crate::source::Source;
use crate::webhook::backend::{Does, ok};
use crate::webhook::rest;

const ROOM: &str = "hall";
const API: &str = "/api/bus/hall";
const BUS_MESSAGE: &str = "/bus-message/hall";

/// By which ways it is published, each as often.
const WAYS: [Way; 3] = [Way::Client, Way::Backend, Way::Message];

/// How often by each way, one after the other and then all at once: together less
/// than a client may send, and than the room keeps.
const ROUNDS: u64 = 4;
const AT_ONCE: u64 = 20;

#[derive(Clone, Copy, Debug)]
enum Way {
    /// NOTIFY.
    Client,
    /// `POST /api/bus/ROOM`.
    Backend,
    /// `POST /bus-message/ROOM`.
    Message,
}

/// Publishes by HTTP with the token, which is to succeed; what it is answered.
pub async fn post(server: &TestServer, target: &str, message: &Value) -> Answer {
    let body = message.to_string();
    let answer = post_with(server.address, target, BEARER, body).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    answer
}

/// Publishes as a client of the room; the offset that it is answered.
async fn notify(notifier: &mut Client, message: u64) -> Value {
    let asked = json!({"room": ROOM, "message": message});
    let answer = notifier.ask("NOTIFY", asked).await;
    assert_eq!(answer["status"], "ok", "{answer}");
    answer["offset"].clone()
}

/// Publishes; the offset, where that is answered.
async fn say(way: Way, server: &TestServer, notifier: &mut Client, message: u64) -> Option<Value> {
    match way {
        Way::Client => Some(notify(notifier, message).await),
        Way::Backend => {
            let answer = post(server, API, &message.into()).await;
            let answer: Value = serde_json::from_str(&answer.body).unwrap();
            Some(answer["offset"].clone())
        }
        Way::Message => {
            assert_eq!(post(server, BUS_MESSAGE, &message.into()).await.body, "OK");
            None
        }
    }
}

pub async fn one_order_at_every_door(stage: Stage<'_>) {
    let (publish_at, listen_at) = (stage.publish_at, stage.listen_at);
    let mut ears = Ears::open(listen_at, "/bus", ROOM).await;
    let body = format!(r#"{{"code":"OK","rooms":["/bus/{ROOM}"]}}"#);
    stage
        .backend
        .does(move |_| Does::Answers(200, body.clone()));
    ears.add(Ear::of_backend(listen_at).await);
    are_in(listen_at, "/bus", ROOM, ears.many()).await;
    stage.backend.does(|_| ok());
    let mut beside = Source::open(publish_at.address, &format!("/events/bus/{ROOM}"), "").await;
    assert_eq!(beside.told().await.event, "joined");
    let mut notifier = Client::connect(publish_at.address, "/bus").await.unwrap();
    let asked = json!({"room": ROOM, "name": "ben"});
    let everybody = ears.many() + 2;
    let joined = notifier.ask("JOIN", asked).await;
    assert_eq!(joined["clients"], everybody, "{joined}");
    for server in [publish_at, listen_at] {
        shows(server, everybody).await;
    }

    let (mut last, mut others) = (number(&joined), Vec::new());
    for message in 0..ROUNDS * WAYS.len() as u64 {
        let way = WAYS[message as usize % WAYS.len()];
        let offset = say(way, publish_at, &mut notifier, message).await;
        let event = ears.hear().await;
        assert_eq!(beside.told().await.data, event);
        let sender = match way {
            Way::Client => "ben",
            Way::Backend | Way::Message => "POST",
        };
        assert_eq!(
            (&event["sender"], &event["room"], &event["message"]),
            (&json!(sender), &json!(ROOM), &json!(message))
        );
        assert!(offset.is_none_or(|offset| offset == event["offset"]));
        last += 1;
        assert_eq!(number(&event), last);
        if sender != "ben" {
            others.push(event);
        }
    }
    for event in others {
        assert_eq!(notifier.next().await, event, "all but its own");
    }
    at_once(stage, &mut ears, &mut notifier, last).await;
}

/// What all publish at the same time is heard in one order, each once.
async fn at_once(stage: Stage<'_>, ears: &mut Ears<'_>, notifier: &mut Client, last: u64) {
    let by_client = async {
        for message in 0..AT_ONCE {
            notify(notifier, message).await;
        }
    };
    let by_backend = async |target, from: u64| {
        for message in from..from + AT_ONCE {
            post(stage.publish_at, target, &message.into()).await;
        }
    };
    let all = AT_ONCE * WAYS.len() as u64;
    let (.., events) = tokio::join!(
        by_client,
        by_backend(API, AT_ONCE),
        by_backend(BUS_MESSAGE, 2 * AT_ONCE),
        ears.hear_all(all as usize),
    );
    let numbers: Vec<_> = events.iter().map(number).collect();
    assert_eq!(numbers, (last + 1..=last + all).collect::<Vec<_>>());
    let messages: BTreeSet<_> = events.iter().map(|e| e["message"].as_u64()).collect();
    assert_eq!(messages, (0..all).map(Some).collect());
}

/// Whoever asks at this node is shown so many clients, also those of the others.
async fn shows(server: &TestServer, many: usize) {
    let mut asking = Client::connect(server.address, "/bus").await.unwrap();
    let shown = asking.ask("CLIENTS", json!({"room": ROOM})).await;
    assert_eq!(shown["total"], many, "{shown}");
    let names = shown["clients"].as_array().unwrap();
    assert_eq!(names.len(), many, "{shown}");
    for name in ["anna", "ben"] {
        assert!(names.contains(&json!(name)), "{shown}");
    }
}

/// The REST side of a node reaches the clients of all.
pub async fn a_backend_writes_to_one(stage: Stage<'_>) {
    let before = stage.backend.calls().len();
    let mut client = Ear::of_backend(stage.listen_at).await;
    let calls = stage.backend.until(|calls| {
        let mut new = calls[before..].iter();
        new.any(|call| call.method == Method::POST)
    });
    let calls = calls.await;
    let came = calls[before..]
        .iter()
        .find(|call| call.method == Method::POST);
    let (_, side) = stage.publish_at.webhook.unwrap();
    let id = &came.unwrap().id;
    // The backend has let it in; the other nodes hear of it a moment later.
    are_in(stage.listen_at, "/webhook", id, 1).await;
    for text in [r#""one""#, r#""two""#] {
        let target = format!("/{id}");
        let answer = rest(side, "PUT", &target, "", text).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let expected = serde_json::from_str(text).unwrap();
        assert_eq!(client.hears().await, Heard::Event(expected));
    }
}

//! A channel that a backend creates at one node: it is there at all of them, until
//! it is deleted.

use serde_json::{Value, json};

use super::ears::{Ear, Ears, number};
use super::nodes::{Stage, are_in};
use crate::http::{get, post_with};
use crate::push::{create, delete, push, push_to, pushed};

const CHANNEL: &str = "news";

/// How a publisher writes a message.
fn text(message: &str) -> String {
    format!(r#""message":"{message}""#)
}

pub async fn reaches_all(stage: Stage<'_>) {
    let (publish_at, listen_at) = (stage.publish_at, stage.listen_at);
    let token = create(publish_at, CHANNEL).await;
    let mut ears = Ears::open(listen_at, "/push", CHANNEL).await;
    let (subscriber, _) = Ear::of_channel(listen_at, CHANNEL).await;
    ears.add(subscriber);
    let (mut alone, uuid) = Ear::of_channel(listen_at, CHANNEL).await;
    are_in(listen_at, "/push", CHANNEL, ears.many() + 1).await;

    pushed(publish_at, CHANNEL, push(CHANNEL, &token, &text("one"))).await;
    let first = ears.hear().await;
    assert_eq!(
        (&first["sender"], &first["message"]),
        (&json!("POST"), &json!("one"))
    );
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let target = format!("/api/push/{CHANNEL}");
    let answer = post_with(publish_at.address, &target, &bearer, r#""two""#).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let second = ears.hear().await;
    assert_eq!(second["message"], "two");
    assert_eq!(answer["offset"], second["offset"], "{answer}");

    // For one of them, wherever it is; it leaves no gap.
    let recipient = format!(r#""{uuid}""#);
    let private = push_to(CHANNEL, &token, &recipient, &text("private"));
    pushed(publish_at, CHANNEL, private).await;
    pushed(publish_at, CHANNEL, push(CHANNEL, &token, &text("three"))).await;
    let third = ears.hear().await;
    assert_eq!(third["message"], "three");
    let numbers = [&first, &second, &third].map(number);
    assert_eq!(numbers, [0, 1, 2].map(|behind| numbers[0] + behind));
    for message in ["one", "two", "private", "three"] {
        assert_eq!(alone.hears().await.message(), message);
    }

    delete(publish_at, CHANNEL, &token).await;
    for server in [publish_at, listen_at] {
        let answer = get(server.address, &format!("/events/push/{CHANNEL}"), "").await;
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
}

//! What one client, one backend, or what stands in Redis already, can't do to the others.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::bus::post;
use super::flow::is_joined;
use super::nodes::{are_in, node_at, node_with};
use super::redis::{Keeps, Redis, Reply};
use crate::api::BEARER;
use crate::client::{Client, SOON};
use crate::http::post_with;
use crate::push::create;
use crate::webhook::backend::Backend;
use crate::webhook::{self, rest};

/// Awaits that Redis answers this.
async fn answers(redis: &Redis, words: &[&str], expected: Reply) {
    let answered = async {
        while redis.ask(words).await != expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, answered)
        .await
        .unwrap_or_else(|_| panic!("{words:?} is not {expected:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_writes_harms_one_room() {
    let redis = Redis::start(Keeps::Nothing).await;
    let node = node_at(&redis.address().to_string()).await;
    is_joined(&node, true).await;
    let foreign = ["SET", "roomcast:0:{/bus/odd}:m", "foreign"];
    redis.ask(&foreign).await;
    let mut client = Client::connect(node.address, "/bus").await.unwrap();
    let refused = client.join("odd").await;
    assert_eq!(refused["code"], "busy", "{refused}");
    assert_eq!(client.join("hall").await["status"], "ok");
    let posted = post_with(node.address, "/api/bus/odd", BEARER, "1").await;
    assert_eq!(posted.status, 503, "{}", posted.body);
    is_joined(&node, true).await;
    redis.ask(&["DEL", foreign[1]]).await;
    let joined = async {
        while client.join("odd").await["status"] != "ok" {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, joined).await.expect("the room is free again");
    drop(client);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_for_one_connection_ends_with_it() {
    let redis = Redis::start(Keeps::Nothing).await;
    let backend = Backend::start().await;
    let target = backend.target();
    let door = ["--target-address", &target, "--webhook-ws", "127.0.0.1:0"];
    let side = ["--webhook-http", "127.0.0.1:0", "--webhook-style", "rest"];
    let door = [&door[..], &side].concat();
    let node = node_with(&redis.address().to_string(), &door).await;
    let (clients, side) = node.webhook.unwrap();
    let mut client = webhook::Client::connect(clients).await.unwrap();
    let opened = backend.until(|calls| calls.iter().any(|call| call.method == Method::POST));
    let id = opened.await[0].id.clone();
    are_in(&node, "/webhook", &id, 1).await;
    let told = rest(side, "PUT", &format!("/{id}"), "", r#""secret""#).await;
    assert_eq!(
        (told.status, client.text().await),
        (200, r#""secret""#.into())
    );
    let stream = format!("roomcast:0:{{/webhook/{id}}}:s");
    answers(&redis, &["EXISTS", &stream], Reply::Number(1)).await;
    drop(client);
    answers(&redis, &["EXISTS", &stream], Reply::Number(0)).await;
    let left = redis.ask(&["KEYS", "roomcast:0:{/webhook/*}:[mskn]"]).await;
    assert_eq!(left, Reply::Many(Vec::new()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_bounded_in_bytes() {
    let redis = Redis::start(Keeps::Nothing).await;
    let node = node_at(&redis.address().to_string()).await;
    let message = json!("x".repeat(60_000));
    for _ in 0..120 {
        post(&node, "/api/bus/hall", &message).await;
    }
    let Reply::Number(kept) = redis.ask(&["XLEN", "roomcast:0:{/bus/hall}:s"]).await else {
        panic!("a length is a number");
    };
    assert!((16..=71).contains(&kept), "{kept} of 60 KB each");
    node.stop().await;
}

/// Names of 64 characters: the answers are as big as they get.
#[tokio::test(flavor = "multi_thread")]
async fn all_may_ask_at_once_who_is_there() {
    let redis = Redis::start(Keeps::Nothing).await;
    let node = node_at(&redis.address().to_string()).await;
    let name = |number: usize| format!("{}{number:04}", "\u{1F600}".repeat(60));
    let joins = (0..200).map(|number| {
        let (address, name) = (node.address, name(number));
        async move {
            let mut client = Client::connect(address, "/bus").await.unwrap();
            let joined = client
                .ask("JOIN", json!({"room": "hall", "name": name}))
                .await;
            assert_eq!(joined["status"], "ok", "{joined}");
            client
        }
    });
    let mut clients = join_all(joins).await;
    let asked: Vec<Value> = vec![json!({"room": "hall"})];
    let answers = clients
        .iter_mut()
        .map(|client| client.ask_all("CLIENTS", &asked));
    for answer in join_all(answers).await {
        assert_eq!(answer["total"], 200, "{answer}");
    }
    is_joined(&node, true).await;
    drop(clients);
    node.stop().await;
}

/// It is gone with its token, and whoever was in it learns that.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_redis_has_forgotten_holds_nobody_up() {
    let mut redis = Redis::start(Keeps::Nothing).await;
    let node = node_with(&redis.address().to_string(), &["--push"]).await;
    let token = create(&node, "news").await;
    let mut client = Client::connect(node.address, "/push").await.unwrap();
    assert_eq!(client.join("news").await["status"], "ok");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let pushed = post_with(node.address, "/api/push/news", &bearer, "1").await;
    assert_eq!(pushed.status, 200, "{}", pushed.body);
    redis.kill().await;
    is_joined(&node, false).await;
    redis.restart().await;
    is_joined(&node, true).await;
    post(&node, "/api/bus/hall", &json!(1)).await;
    assert_eq!(client.join("news").await["code"], "unknown_room");
    drop(client);
    node.stop().await;
}

/// A service that joins no room publishes at one node, for a device at the other one. What it
/// publishes in rooms that nobody joins soon leaves Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_outside_of_a_room_reaches_other_nodes() {
    let redis = Redis::start(Keeps::Nothing).await;
    let at = redis.address().to_string();
    let (one, other) = (node_at(&at).await, node_at(&at).await);
    is_joined(&one, true).await;
    is_joined(&other, true).await;
    let mut device = Client::connect(other.address, "/layout").await.unwrap();
    device.join("r").await;
    let mut service = Client::connect(one.address, "/layout").await.unwrap();
    for room in ["r", "nobody"] {
        let notify = json!({"room": room, "message": room});
        assert_eq!(service.ask("NOTIFY", notify).await["status"], "ok");
    }
    let event = device.next().await;
    assert_eq!(
        (&event["sender"], &event["message"]),
        (&json!("unknown"), &json!("r"))
    );
    for (room, least, most) in [("r", 3_000_000, 3_600_000), ("nobody", 1, 60_000)] {
        let Reply::Number(left) = redis
            .ask(&["PTTL", &format!("roomcast:0:{{/layout/{room}}}:s")])
            .await
        else {
            panic!("no such stream: {room}");
        };
        assert!((least..=most).contains(&left), "{room}: {left} ms");
    }
    drop((device, service));
    one.stop().await;
    other.stop().await;
}

//! What backends do at one node for clients of another, and what is refused there with
//! the same words as on one node.

use axum::http::Method;
use serde_json::{Value, json};

use super::nodes::{Nodes, are_in};
use crate::client::Client;
use crate::push::{answer_for, create, delete};
use crate::webhook::{self, rest};

/// A connection of the webhook door is read, put into a room, written to there, taken
/// out and ended at the node that it is not connected to.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_reached_at_the_other_node() {
    let nodes = Nodes::start(2).await;
    let [here, there] = &nodes.servers[..] else {
        panic!("two were started");
    };
    let (address, _) = here.webhook.unwrap();
    let mut client = webhook::Client::connect(address).await.unwrap();
    let calls = nodes
        .backend
        .until(|calls| calls.iter().any(|call| call.method == Method::POST));
    let id = calls.await[0].id.clone();
    are_in(here, "/webhook", &id, 1).await;
    let (_, side) = there.webhook.unwrap();
    let ask = async |method: &str, path: String, body: &str| {
        rest(side, method, &path, "", body).await.status
    };
    assert_eq!(ask("GET", format!("/{id}"), "").await, 200);
    assert_eq!(ask("PUT", format!("/{id}"), r#""own""#).await, 200);
    assert_eq!(client.text().await, r#""own""#);
    let room = format!("/{id}/rooms/bus/hall");
    assert_eq!(ask("PUT", room.clone(), "").await, 200);
    are_in(here, "/bus", "hall", 1).await;
    there.publish("/bus", "hall", json!("all"));
    let heard: Value = serde_json::from_str(&client.text().await).unwrap();
    assert_eq!(heard["message"], "all");
    assert_eq!(ask("DELETE", room.clone(), "").await, 200);
    there.publish("/bus", "hall", json!("nobody"));
    assert_eq!(ask("PUT", format!("/{id}"), r#""last""#).await, 200);
    assert_eq!(client.text().await, r#""last""#);
    assert_eq!(ask("DELETE", format!("/{id}"), "").await, 200);
    client.closed().await;
    let unknown = "0".repeat(32);
    for (method, path) in [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("PUT", "/rooms/bus/hall"),
    ] {
        let status = ask(method, format!("/{unknown}{path}"), r#""x""#).await;
        assert_eq!(status, 404, "{method} {path}");
    }
    nodes.stop().await;
}

/// A channel that is not there is refused alike on one node and on two, also once it was
/// deleted at the other node.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_not_there_is_refused_alike() {
    let mut answers = Vec::new();
    for many in [1, 2] {
        let nodes = Nodes::start(many).await;
        let (first, last) = (&nodes.servers[0], &nodes.servers[many - 1]);
        let token = create(first, "gone").await;
        delete(last, "gone", &token).await;
        for channel in ["none", "gone"] {
            for server in [first, last] {
                answers.push((channel, answer_for(server, channel).await));
                let mut client = Client::connect(server.address, "/push").await.unwrap();
                let joined = client.join(channel).await;
                assert_eq!(joined["code"], "unknown_room", "{joined}");
            }
        }
        nodes.stop().await;
    }
    let known = &answers[..4];
    assert_eq!(known, &answers[4..]);
}

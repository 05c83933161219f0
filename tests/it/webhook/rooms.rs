//! Rooms that connections are in besides their own, as the backend wants it.

use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::backend::{Does, ok};
use super::{Client, Pair, answered};
use crate::client::{Client as SocketIo, SOON};

/// Puts all into one room, by the answer.
fn into_r1() -> Does {
    Does::Answers(200, r#"{"code":"OK","rooms":["/bus/r1"]}"#.to_owned())
}

async fn event(client: &mut Client) -> Value {
    serde_json::from_str(&client.text().await).unwrap()
}

/// Waits until so many are in a room of `/bus`, as somebody sees it who asks there.
async fn clients(pair: &Pair, room: &str, expected: u64) {
    let mut asking = SocketIo::connect(pair.server.address, "/bus")
        .await
        .unwrap();
    let seen =
        async { while asking.ask("CLIENTS", json!({"room": room})).await["total"] != expected {} };
    timeout(SOON, seen).await.expect("others are there");
}

#[tokio::test]
async fn one_publication_reaches_many_connections_as_an_event() {
    /// More than one batch of the fan-out is not needed to see it.
    const MANY: usize = 100;
    let pair = Pair::start(&[]).await;
    pair.backend.does(|_| into_r1());
    let mut many = Vec::new();
    for _ in 0..MANY {
        many.push(Client::connect(pair.ws).await.unwrap());
    }
    clients(&pair, "r1", MANY as u64).await;
    pair.server.publish("/bus", "r1", json!({"to": "all"}));
    for client in &mut many {
        let event = event(client).await;
        let expected = json!({
            "sender": "POST", "room": "r1", "message": {"to": "all"},
            "offset": event["offset"], "time": event["time"],
        });
        assert_eq!(event, expected);
        assert!(event["offset"].is_string() && event["time"].is_string());
    }
    drop(many);
    clients(&pair, "r1", 0).await;
    pair.server.stop().await;
}

#[tokio::test]
async fn rooms_are_joined_and_left_by_rest() {
    let pair = Pair::start(&[]).await;
    let (mut client, id) = pair.client().await;
    let (_other, other) = pair.client().await;
    let path = |room: &str| format!("/{id}/rooms/{room}");
    let own = format!("webhook/{other}");
    let cases = [
        ("PUT", "bus/r1", 200, "OK"),
        ("PUT", "bus/r1", 200, "OK"),
        ("PUT", "bus/r2", 200, "OK"),
        ("PUT", "layout/l", 200, "OK"),
        ("DELETE", "bus/r1", 200, "OK"),
        ("DELETE", "bus/r1", 404, "NOT_FOUND"),
        ("PUT", "nowhere/l", 404, "NOT_FOUND"),
        ("PUT", "schedule/l", 403, "BAD_REQUEST"),
        ("PUT", &own, 403, "BAD_REQUEST"),
        ("PUT", "bus/%00", 400, "BAD_REQUEST"),
        ("PATCH", "bus/r1", 405, "BAD_REQUEST"),
    ];
    for (method, room, status, code) in cases {
        let answer = pair.rest(method, &path(room), "").await;
        let expected = (status, code.to_owned());
        assert_eq!(answered(&answer), expected, "{method} {room}");
    }
    let unknown = format!("/{}/rooms/bus/r1", uuid::Uuid::nil());
    for method in ["PUT", "DELETE"] {
        let answer = pair.rest(method, &unknown, "").await;
        assert_eq!(answered(&answer), (404, "NOT_FOUND".into()), "{method}");
    }
    let about: Value =
        serde_json::from_str(&pair.rest("GET", &format!("/{id}"), "").await.body).unwrap();
    assert_eq!(about["rooms"], json!(["/bus/r2", "/layout/l"]));

    pair.server.publish("/bus", "r1", json!("left"));
    pair.server.publish("/bus", "r2", json!("here"));
    assert_eq!(event(&mut client).await["message"], "here");
    pair.server.stop().await;
}

/// Also where the backend does not take what it has sent before.
#[tokio::test]
async fn who_is_gone_is_in_no_room_and_not_found() {
    let pair = Pair::start(&[]).await;
    pair.backend.does(|call| match call.method {
        Method::PUT => Does::Hangs,
        _ => into_r1(),
    });
    let (mut client, id) = pair.client().await;
    clients(&pair, "r1", 1).await;
    client.send("hello").await;
    pair.backend.called(2).await;
    drop(client);
    clients(&pair, "r1", 0).await;
    for method in ["PUT", "GET", "DELETE"] {
        let answer = pair.rest(method, &format!("/{id}"), "x").await;
        assert_eq!(answered(&answer), (404, "NOT_FOUND".into()), "{method}");
    }
    pair.backend.does(|_| ok());
    let calls = pair.backend.called(3).await;
    assert_eq!(calls[2].method, Method::DELETE);
    pair.server.stop().await;
}

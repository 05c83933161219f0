//! One channel at every door: a push reaches all that listen there, whatever they
//! connected with, and so does the channel's end.

use serde_json::{Value, json};

use super::*;
use crate::http::{get, post_with};
use crate::source::Source;

const EVENTS: &str = "/events/push/news";
const RAW: &str = "/ws?target=push&room=news";
const TEXT: &str = r#""message":"hello""#;

/// One listener of the channel `news` at each door.
struct Doors {
    push: Subscriber,
    io: Client,
    sse: Source,
    raw: Client,
}

impl Doors {
    async fn open(server: &TestServer) -> Self {
        let mut io = Client::connect(server.address, "/push").await.unwrap();
        let joined = io.join("news").await;
        assert_eq!(joined["status"], "ok", "{joined}");
        // So that the end of the stream is seen at once.
        let mut sse = Source::open(server.address, EVENTS, "Connection: close\r\n").await;
        assert_eq!(sse.told().await.event, "joined");
        let doors = Self {
            push: Subscriber::of(server, "news").await,
            io,
            sse,
            raw: Client::websocket_at(server.address, RAW, &[]).await,
        };
        are_there(server, 4).await;
        doors
    }

    /// The next that all of them hear has this message; the event of it.
    async fn hear(&mut self, message: Value) -> Value {
        let expected = self.push.pushed(r#""news""#, "news", &message.to_string());
        assert_eq!(self.push.hears().await, expected);
        self.hear_elsewhere(message).await
    }

    /// The same, but for the subscriber.
    async fn hear_elsewhere(&mut self, message: Value) -> Value {
        let event = self.io.next().await;
        assert_eq!(event["message"], message);
        let whom = (&event["sender"], &event["room"]);
        assert_eq!(whom, (&json!("POST"), &json!("news")));
        let told = self.sse.told().await;
        assert_eq!((told.event.as_str(), &told.data), ("message", &event));
        assert_eq!(self.sse.last_id, event["offset"]);
        let raw = self.raw.any_packet().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&raw).unwrap(), event);
        event
    }
}

/// The number of an event's offset.
fn number(event: &Value) -> u64 {
    let (_, number) = event["offset"].as_str().unwrap().split_once('-').unwrap();
    number.parse().unwrap()
}

#[tokio::test]
async fn all_doors_hear_what_is_pushed_by_either_way() {
    let server = start().await;
    let token = create(&server, "news").await;
    let mut doors = Doors::open(&server).await;
    pushed(&server, "news", push("news", &token, TEXT)).await;
    let first = doors.hear(json!("hello")).await;

    let bearer = format!("Authorization: Bearer {token}\r\n");
    let answer = post_with(server.address, "/api/push/news", &bearer, r#"{"a":[1]}"#).await;
    let second = doors.hear(json!({"a": [1]})).await;
    assert_eq!(number(&second), number(&first) + 1);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["offset"], second["offset"], "{answer}");

    // It has no offset, and leaves no gap.
    let private = push_to("news", &token, &format!(r#""{}""#, doors.push.uuid), TEXT);
    pushed(&server, "news", private).await;
    let expected = doors.push.pushed(r#""news""#, "news", r#""hello""#);
    assert_eq!(doors.push.hears().await, expected);
    pushed(
        &server,
        "news",
        push("news", &token, r#""messageJson":null"#),
    )
    .await;
    let third = doors.hear(Value::Null).await;
    assert_eq!(number(&third), number(&second) + 1);
    drop(doors);
    server.stop().await;
}

#[tokio::test]
async fn the_channels_token_is_needed_at_the_api_and_clients_publish_nothing() {
    let server = start().await;
    let token = create(&server, "news").await;
    let other = create(&server, "other").await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let cases = [
        ("/api/push/news", bearer(&token), 200, ""),
        ("/api/push/news", String::new(), 401, "token_needed"),
        ("/api/push/news", bearer(&other), 403, "wrong_token"),
        ("/api/push/none", bearer(&token), 404, "unknown_room"),
    ];
    for (target, headers, status, code) in cases {
        let answer = post_with(server.address, target, &headers, "1").await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert!(answer.body.contains(code), "{}", answer.body);
    }
    let mut io = Client::connect(server.address, "/push").await.unwrap();
    io.join("news").await;
    let asked = json!({"room": "news", "message": 1});
    for verb in ["NOTIFY", "CLIENTS"] {
        let answer = io.ask(verb, asked.clone()).await;
        assert_eq!(answer["code"], "not_allowed", "{verb}: {answer}");
    }
    drop(io);
    server.stop().await;
}

#[tokio::test]
async fn each_door_is_told_of_the_end_in_its_own_way() {
    let server = start().await;
    create(&server, "other").await;
    let token = create(&server, "news").await;
    let mut doors = Doors::open(&server).await;
    pushed(&server, "news", push("news", &token, TEXT)).await;
    delete(&server, "news", &token).await;
    doors.hear(json!("hello")).await;

    let told = doors.io.the("ERROR").await;
    let which = (&told["event"], &told["code"]);
    assert_eq!(which, (&json!("LEAVE"), &json!("room_deleted")), "{told}");
    let told = doors.sse.told().await;
    assert_eq!(
        (told.event.as_str(), &told.data),
        ("closed", &json!({"code": "room_deleted"}))
    );
    assert!(doors.sse.next().await.is_none());
    let closed = doors.raw.close_frame().await;
    assert_eq!(closed, (4500, "room_deleted".to_owned()));
    // Without a word: the list is shorter the next time.
    doors.push.asks("SUBSCRIBE", "other").await;
    let expected = doors.push.acknowledged(r#""other""#);
    assert_eq!(doors.push.hears().await, expected);

    // Nor is there anything to listen to any more.
    let joined = doors.io.join("news").await;
    assert_eq!(joined["code"], "unknown_room", "{joined}");
    let answer = get(server.address, EVENTS, "").await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let mut raw = Client::websocket_at(server.address, RAW, &[]).await;
    assert_eq!(raw.close_frame().await, (4500, "unknown_room".to_owned()));
    drop((doors, raw));
    server.stop().await;
}

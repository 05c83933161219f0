//! What a channel keeps, as was said when it was created: at every door, and behind
//! a restart. What has recipients is kept for nobody.

use serde_json::{Value, json};

use super::*;
use crate::source::Source;

const EVENTS: &str = "/events/push/news";
const RAW: &str = "/ws?target=push&room=news";

/// Pushes the numbers, each followed by a message that one client alone is to hear;
/// their offsets.
async fn push_numbers(server: &TestServer, token: &str, numbers: &[u64]) -> Vec<String> {
    let mut source = Source::open(server.address, EVENTS, "").await;
    let subscriber = Subscriber::of(server, "news").await;
    let recipient = format!(r#""{}""#, subscriber.uuid);
    let mut offsets = Vec::new();
    for number in numbers {
        let message = format!(r#""messageJson":{number}"#);
        pushed(server, "news", push("news", token, &message)).await;
        let private = push_to("news", token, &recipient, r#""message":"private""#);
        pushed(server, "news", private).await;
        while source.told().await.data["message"] != *number {}
        offsets.push(source.last_id.clone());
    }
    offsets
}

/// What a listener hears that comes now to each door, behind its welcome, up to the
/// number that is pushed last.
async fn newcomers(server: &TestServer, token: &str, last: u64) -> Vec<Vec<Value>> {
    let mut push_client = Subscriber::connect(server).await;
    push_client.asks("SUBSCRIBE", "news").await;
    let welcome = push_client.acknowledged(r#""news""#);
    assert_eq!(push_client.hears().await, welcome);
    let mut io = Client::connect(server.address, "/push").await.unwrap();
    io.join("news").await;
    let mut sse = Source::open(server.address, EVENTS, "").await;
    assert_eq!(sse.told().await.event, "joined");
    let mut raw = Client::websocket_at(server.address, RAW, &[]).await;
    are_there(server, 4).await;
    let message = format!(r#""messageJson":{last}"#);
    pushed(server, "news", push("news", token, &message)).await;

    let mut heard = vec![Vec::new(); 4];
    for (door, heard) in heard.iter_mut().enumerate() {
        while heard.last() != Some(&json!(last)) {
            let message = match door {
                0 => parsed(&push_client.hears().await)["data"]["pushMessage"]["message"].take(),
                1 => io.next().await["message"].take(),
                2 => sse.told().await.data["message"].take(),
                _ => parsed(&raw.any_packet().await.unwrap())["message"].take(),
            };
            heard.push(message);
        }
    }
    heard
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn what_is_retained_is_the_first_that_newcomers_hear_also_behind_a_restart() {
    // What is said at the creation -> what they hear before the next push
    for (terms, kept) in [
        (r#","retain":true"#, &[2][..]),
        (r#","retain":false"#, &[]),
        ("", &[]),
    ] {
        let state = tempfile::tempdir().unwrap();
        let server = TestServer::start_in(state.path(), &["--push"]).await;
        let token = create_as(&server, "news", terms).await;
        push_numbers(&server, &token, &[1, 2]).await;
        server.stop().await;
        // The token is the same.
        let server = TestServer::start_in(state.path(), &["--push"]).await;
        let expected: Vec<_> = kept
            .iter()
            .chain(&[3])
            .map(|number| json!(number))
            .collect();
        for heard in newcomers(&server, &token, 3).await {
            assert_eq!(heard, expected, "{terms}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn who_comes_back_hears_what_it_missed_as_far_as_that_is_kept() {
    // What is said at the creation -> from which of 1 to 4 on all is recovered
    for (terms, whole_from) in [(r#","history":2"#, 2), (r#","history":0"#, 4), ("", 1)] {
        let server = start().await;
        let token = create_as(&server, "news", terms).await;
        let offsets = push_numbers(&server, &token, &[1, 2, 3, 4]).await;
        for (seen, since) in (1..=4).zip(&offsets) {
            let whole = seen >= whole_from;
            let mut io = Client::connect(server.address, "/push").await.unwrap();
            let joined = io
                .ask("JOIN", json!({"room": "news", "since": since}))
                .await;
            assert_eq!(joined["recovered"], whole, "{terms} {seen}: {joined}");
            let headers = format!("Last-Event-ID: {since}\r\n");
            let mut sse = Source::open(server.address, EVENTS, &headers).await;
            let joined = sse.told().await;
            assert_eq!(joined.data["recovered"], whole, "{terms} {seen}");
            if !whole {
                continue;
            }
            for number in seen + 1..=4 {
                assert_eq!(io.next().await["message"], number);
                assert_eq!(sse.told().await.data["message"], number);
            }
        }
        server.stop().await;
    }
}

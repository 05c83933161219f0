//! What clients send, and what the backend writes to them.

use axum::http::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::backend::{Called, Does, ok};
use super::outage::in_time;
use super::{Client, Pair, STYLES, answered};

#[tokio::test]
async fn messages_come_as_they_were_sent_in_order_and_before_the_end() {
    const JSON: &str = "application/json";
    const OTHER: &str = "application/octet-stream";
    let sent = [
        (Message::text(r#"{"a": 1.50}"#), JSON),
        (Message::text("hello"), "text/plain"),
        (Message::text(""), "text/plain"),
        (Message::binary(vec![0, 255, 1]), OTHER),
        (Message::binary(b"{}".to_vec()), OTHER),
        (Message::text("\u{e9}\u{1f600}\n"), "text/plain"),
    ];
    come_as_sent("rest", &sent).await;
    // WSAAS declares all UTF-8 messages as JSON, even binary ones.
    let sent = sent.map(|(message, _)| {
        let kind = message.to_text().map_or(OTHER, |_| JSON);
        (message, kind)
    });
    come_as_sent("wsaas", &sent).await;
}

async fn come_as_sent(style: &str, sent: &[(Message, &str)]) {
    let pair = Pair::start(&["--webhook-style", style]).await;
    let (mut client, id) = pair.client().await;
    for (message, _) in sent {
        client.send(message.clone()).await;
    }
    client.0.close(None).await.unwrap();
    pair.backend.called(2 + sent.len()).await;
    let calls = pair.backend.calls_of(&id);
    let puts = &calls[1..calls.len() - 1];
    for ((message, kind), call) in sent.iter().zip(puts) {
        assert_eq!(call.method, Method::PUT);
        assert_eq!(call.body, message.clone().into_data());
        assert_eq!(call.header("content-type"), *kind);
    }
    assert_eq!(puts.len(), sent.len());
    assert_eq!(calls.last().unwrap().method, Method::DELETE);
    pair.server.stop().await;
}

#[tokio::test]
async fn the_backend_writes_to_a_client_and_closes_it() {
    for style in STYLES {
        is_written_to_and_closed(style).await;
    }
}

async fn is_written_to_and_closed(style: &str) {
    let pair = Pair::start(&["--webhook-style", style]).await;
    // WSAAS always answers 200 and closes without a code. A message that fills its last page begins
    // another one.
    let (status, closed, most): (fn(u16) -> u16, _, _) = match style {
        "wsaas" => (|_| 200, 0, 128 * 1024 - 1),
        _ => (|status| status, 1000, 128 * 1024),
    };
    let (mut client, id) = pair.client().await;
    let path = format!("/{id}");
    for text in [
        "hello",
        "",
        r#"{"a":"\u00e9"}"#,
        "\u{1}\u{2}\n\n\n",
        &"x".repeat(most),
    ] {
        let answer = pair.rest("PUT", &path, text).await;
        assert_eq!((answer.status, &*answer.body), (200, r#"{"code":"OK"}"#));
        assert_eq!(client.content(style).await, text);
    }
    let too_long = pair.rest("PUT", &path, &"x".repeat(most + 1)).await;
    assert_eq!(
        answered(&too_long),
        (status(413), "MESSAGE_TOO_LONG".into())
    );
    let about: Value = serde_json::from_str(&pair.rest("GET", &path, "").await.body).unwrap();
    assert_eq!(about["code"], "OK");
    assert_eq!(about["from"], "127.0.0.1");
    assert!(about["since"].as_str().unwrap().ends_with('Z'), "{about}");
    assert_eq!(about["rooms"], json!([]));
    assert_eq!(
        answered(&pair.rest("PATCH", &path, "").await),
        (status(405), "BAD_REQUEST".into())
    );
    assert_eq!(
        answered(&pair.rest("GET", "/a/b", "").await),
        (status(400), "BAD_REQUEST".into())
    );

    assert_eq!(
        answered(&pair.rest("DELETE", &path, "").await),
        (status(200), "OK".into())
    );
    assert_eq!(client.closed().await, closed);
    for method in ["PUT", "DELETE", "GET"] {
        let gone = pair.rest(method, &path, "").await;
        assert_eq!(
            answered(&gone),
            (status(404), "NOT_FOUND".into()),
            "{method}"
        );
    }
    drop(client);
    let calls = pair.backend.called(2).await;
    assert_eq!(calls[1].method, Method::DELETE);
    let unknown = format!("/{}", uuid::Uuid::nil());
    let upper_case = path.to_uppercase();
    for unknown in ["/x", "/a/b", &unknown, &upper_case] {
        let answer = pair.rest("PUT", unknown, "x").await;
        assert_eq!(answered(&answer), (status(404), "NOT_FOUND".into()));
    }
    pair.server.stop().await;
}

#[tokio::test]
async fn what_is_written_while_the_backend_thinks_comes_behind_its_answer() {
    let pair = Pair::start(&[]).await;
    pair.backend.does(|call| match call.method {
        Method::POST => Does::Hangs,
        _ => ok(),
    });
    let ws = pair.ws;
    let connecting = tokio::spawn(async move { Client::connect(ws).await.unwrap() });
    let id = pair.backend.called(1).await[0].id.clone();
    let path = format!("/{id}");
    let write = pair.rest("PUT", &path, "second");
    let answer = async {
        tokio::task::yield_now().await;
        let body = r#"{"code":"OK","send":["first",{"n":1}]}"#;
        pair.backend
            .does(move |_| Does::Answers(200, body.to_owned()));
    };
    let (written, ()) = tokio::join!(write, answer);
    assert_eq!(answered(&written), (200, "OK".into()));
    let mut client = connecting.await.unwrap();
    for expected in ["first", r#"{"n":1}"#, "second"] {
        assert_eq!(client.text().await, expected);
    }
    drop(client);
    pair.server.stop().await;
}

/// More than its namespace lets through at once.
#[tokio::test]
async fn who_pings_too_fast_is_read_more_slowly_and_to_the_end() {
    const PINGS: usize = 400;
    let pair = Pair::start(&[]).await;
    let (mut client, id) = pair.client().await;
    for _ in 0..PINGS {
        client.send(Message::Ping("mine".into())).await;
    }
    client.send("hello").await;
    let calls = in_time(&pair, pair.backend.called(2)).await;
    assert_eq!((&calls[1].method, &calls[1].id), (&Method::PUT, &id));
    for _ in 0..PINGS {
        assert_eq!(client.next().await, Message::Pong("mine".into()));
    }
    drop(client);
    pair.server.stop().await;
}

/// What it is answered besides is nobody's business, and may be long.
#[tokio::test]
async fn a_message_that_was_taken_is_not_sent_again() {
    let pair = Pair::start(&[]).await;
    let (mut client, _) = pair.client().await;
    // More than is read of an answer.
    let long = "x".repeat(300 * 1024);
    pair.backend.does(move |_| Does::Answers(200, long.clone()));
    for text in ["1", "2", "3"] {
        client.send(text).await;
    }
    client.0.close(None).await.unwrap();
    let calls = pair.backend.called(5).await;
    let said: Vec<_> = calls[1..4].iter().map(Called::text).collect();
    assert_eq!(said, ["1", "2", "3"]);
    assert_eq!(calls[4].method, Method::DELETE);
    pair.server.stop().await;
}

/// Else a browser takes it for an accident.
#[tokio::test]
async fn who_says_goodbye_is_answered() {
    let pair = Pair::start(&[]).await;
    let (mut client, _) = pair.client().await;
    let code = CloseFrame {
        code: 4001.into(),
        reason: "bye".into(),
    };
    client.0.close(Some(code)).await.unwrap();
    assert_eq!(client.closed().await, 4001);
    drop(client);
    pair.server.stop().await;
}

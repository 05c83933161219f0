//! Backends and clients of WSAAS: an express backend, a backend that writes to its client before it
//! accepts the client, and the page limits, ids and codes of WSAAS.

use axum::http::Method;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::webhook::backend::{Called, Does, ok};
use crate::webhook::program::Running;
use crate::webhook::{Client, Pair, answered, rest};

const WSAAS: [&str; 2] = ["--webhook-style", "wsaas"];

/// The largest message of four pages: a message that fills a page begins the next one.
const LONGEST: usize = 4 * 32 * 1024 - 1;

/// The status that `express.json()` answers: in its strict mode, 400 to all but objects and lists.
fn express(call: &Called) -> Does {
    let is_taken = match serde_json::from_slice(&call.body) {
        Ok(body) => matches!(body, Value::Object(_) | Value::Array(_)),
        Err(_) => call.body.is_empty(),
    };
    match call.header("content-type") == "application/json" && !is_taken {
        true => Does::Answers(400, "Bad Request".to_owned()),
        false => ok(),
    }
}

fn puts(calls: &[Called]) -> Vec<&Called> {
    let puts = calls.iter().filter(|call| call.method == Method::PUT);
    puts.collect()
}

#[tokio::test]
async fn a_backend_that_answers_400_to_bare_values_keeps_its_clients() {
    let pair = Pair::start(&WSAAS).await;
    pair.backend.does(express);
    let (mut client, id) = pair.client().await;
    let sent = ["5", r#"{"n":1}"#, "\"x\"", "hello", "null", "[2]", ""];
    for text in sent {
        client.send(text).await;
    }
    let calls = pair.backend.called(1 + sent.len()).await;
    let texts: Vec<_> = puts(&calls).into_iter().map(Called::text).collect();
    assert_eq!(texts, sent, "each once, and in order");
    for call in &calls {
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("authorization"), "None");
    }
    let written = pair.rest("PUT", &format!("/{id}"), "still here").await;
    assert_eq!(answered(&written), (200, "OK".into()));
    assert_eq!(client.next().await, Message::binary("still here"));
    pair.server.stop().await;
}

/// The client stays connected, later messages do not wait, and log and metrics show the refusal.
#[tokio::test]
async fn a_refused_message_is_logged_and_counted() {
    const STATUSES: [u16; 6] = [302, 400, 403, 404, 422, 429];
    let backend = crate::webhook::backend::Backend::start().await;
    let mut running = Running::start(&backend.target(), &WSAAS).await;
    let mut client = Client::connect(running.ws).await.unwrap();
    backend.does(|call| match call.text().parse() {
        // The `Retry-After` is too late to try again.
        Ok(429) => Does::Wants(429, Some(u64::MAX)),
        Ok(status) => Does::Answers(status, String::new()),
        Err(_) => ok(),
    });
    for status in STATUSES {
        client.send(status.to_string()).await;
    }
    client.send("end").await;
    let calls = backend.called(2 + STATUSES.len()).await;
    let id = calls[0].id.clone();
    assert_eq!(calls.last().unwrap().text(), "end");
    let refused = "roomcast_webhook_refused_messages_total";
    assert_eq!(running.figure(refused).await, STATUSES.len() as f64);
    let line = running
        .program
        .line("the backend refused a client's message");
    let line = line.await;
    for words in [r#""status":302"#, r#""count":1"#, &id[..8]] {
        assert!(line.contains(words), "{line}");
    }
    assert!(!line.contains(&id), "{line}");
}

#[tokio::test]
async fn what_a_backend_writes_before_it_accepts_the_client_comes_in_order() {
    let pair = Pair::start(&WSAAS).await;
    for (answer, is_accepted) in [
        (r#"{"code":"OK","send":["hello"]}"#, true),
        (r#"{"code":"NO"}"#, false),
    ] {
        let before = pair.backend.calls().len();
        pair.backend.does(|_| Does::Hangs);
        let ws = pair.ws;
        let connecting = tokio::spawn(async move { Client::connect(ws).await });
        let call = pair.backend.called(before + 1).await[before].clone();
        let body: Value = serde_json::from_str(&call.text()).unwrap();
        let ws_uri = body["ws_uri"].as_str().unwrap();
        let path = &ws_uri[ws_uri.rfind('/').unwrap()..];
        // The backend's handler is still running.
        for text in ["1", "2", "3"] {
            assert_eq!(
                answered(&pair.rest("PUT", path, text).await),
                (200, "OK".into())
            );
        }
        pair.backend.does(move |call| match call.method {
            Method::POST => Does::Answers(200, answer.to_owned()),
            _ => ok(),
        });
        let connected = connecting.await.unwrap();
        assert_eq!(connected.as_ref().err(), (!is_accepted).then_some(&403));
        let written = answered(&pair.rest("PUT", path, "4").await);
        let Ok(mut client) = connected else {
            assert_eq!(written, (200, "NOT_FOUND".into()));
            continue;
        };
        assert_eq!(written, (200, "OK".into()));
        for text in ["hello", "1", "2", "3", "4"] {
            assert_eq!(client.next().await, Message::binary(text));
        }
        drop(client);
        pair.backend.called(before + 2).await;
    }
    pair.server.stop().await;
}

#[tokio::test]
async fn a_backend_can_close_a_client_before_it_accepts_it_and_not_flood_it() {
    /// As many messages as may wait for a connected client.
    const MOST: usize = 512;
    let pair = Pair::start(&["--webhook-style", "rest"]).await;
    pair.backend.does(|_| Does::Hangs);
    let ws = pair.ws;
    let connecting = tokio::spawn(async move { Client::connect(ws).await.unwrap() });
    let path = format!("/{}", pair.backend.called(1).await[0].id);
    for number in 1..MOST {
        let written = pair.rest("PUT", &path, &number.to_string()).await;
        assert_eq!(written.status, 200, "{number}");
    }
    assert_eq!(pair.rest("DELETE", &path, "").await.status, 200);
    assert_eq!(
        answered(&pair.rest("PUT", &path, "late").await),
        (404, "NOT_FOUND".into())
    );
    pair.backend.does(|_| ok());
    let mut client = connecting.await.unwrap();
    for number in 1..MOST {
        assert_eq!(client.text().await, number.to_string());
    }
    assert_eq!(client.closed().await, 1000);

    pair.backend.does(|_| Does::Hangs);
    let connecting = tokio::spawn(async move { Client::connect(ws).await.unwrap() });
    let waits = |calls: &[Called]| calls.last().unwrap().method == Method::POST;
    let calls = pair
        .backend
        .until(|calls| calls.len() > 1 && waits(calls))
        .await;
    let path = format!("/{}", calls.last().unwrap().id);
    for number in 0..MOST {
        assert_eq!(pair.rest("PUT", &path, "").await.status, 200, "{number}");
    }
    let full = answered(&pair.rest("PUT", &path, "").await);
    assert_eq!(full, (503, "BAD_REQUEST".into()));
    pair.backend.does(|_| ok());
    drop(connecting.await.unwrap());
    pair.server.stop().await;
}

/// The statuses, codes and frames of WSAAS, as observed.
#[tokio::test]
async fn pages_frames_and_codes_are_the_originals() {
    let pair = Pair::start(&WSAAS).await;
    let (mut client, id) = pair.client().await;
    let own = format!("/{id}");
    let (longest, longer) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
    for (method, path, body, code) in [
        ("PUT", &*own, "hello", "OK"),
        ("PUT", &own, "", "OK"),
        ("PUT", &own, r#"{"a":1}"#, "OK"),
        ("PUT", &own, &longest, "OK"),
        ("PUT", &own, &longer, "MESSAGE_TOO_LONG"),
        ("PUT", "/nope", &longer, "MESSAGE_TOO_LONG"),
        ("PUT", "/nope", "x", "NOT_FOUND"),
        ("PUT", "/a/b", "x", "NOT_FOUND"),
        ("DELETE", "/nope", "", "NOT_FOUND"),
        ("POST", &own, "x", "BAD_REQUEST"),
        ("PATCH", &own, "x", "BAD_REQUEST"),
        ("GET", "/", "", "BAD_REQUEST"),
    ] {
        let answer = pair.rest(method, path, body).await;
        assert_eq!(answered(&answer), (200, code.into()), "{method} {path}");
        if code == "OK" {
            assert_eq!(client.next().await, Message::binary(body.to_owned()));
        }
    }
    // A client's message that is too long is dropped, and the client stays connected.
    for text in [&longest, &longer, &longer, "after"] {
        client.send(text).await;
    }
    let calls = pair.backend.called(3).await;
    let lengths: Vec<_> = puts(&calls).iter().map(|call| call.body.len()).collect();
    assert_eq!(lengths, [LONGEST, "after".len()]);
    assert_eq!(
        answered(&pair.rest("DELETE", &own, "").await),
        (200, "OK".into())
    );
    assert_eq!(client.closed().await, 0, "no code");
    pair.server.stop().await;
}

/// WSAAS looks at the status only.
#[tokio::test]
async fn an_answer_without_a_code_accepts_the_client() {
    let pair = Pair::start(&WSAAS).await;
    for (status, body, refused) in [
        (200, "", None),
        (200, "welcome", None),
        (200, r#"{"status":"fine"}"#, None),
        (200, r#"{"code":"FORBIDDEN"}"#, Some(403)),
        (403, r#"{"code":"OK"}"#, Some(403)),
        (404, "", Some(403)),
    ] {
        pair.backend
            .does(move |_| Does::Answers(status, body.to_owned()));
        let found = Client::connect(pair.ws).await.err();
        assert_eq!(found, refused, "{status} {body}");
    }
    pair.server.stop().await;
}

/// `WS_TIMEOUT=0` and `MAX_PAGE=0`.
#[tokio::test]
async fn zero_is_no_limit() {
    let options = [&WSAAS[..], &["--ws-timeout", "0", "--max-page", "0"]].concat();
    let pair = Pair::start(&options).await;
    let (mut client, id) = pair.client().await;
    let body: Value = serde_json::from_str(&pair.backend.calls()[0].text()).unwrap();
    assert_eq!(body["timeout"], 0);
    let long = "x".repeat(2 << 20);
    client.send(&*long).await;
    assert_eq!(pair.backend.called(2).await[1].body.len(), long.len());
    let written = rest(pair.rest, "PUT", &format!("/{id}"), "", &long).await;
    assert_eq!(answered(&written), (200, "OK".into()));
    assert_eq!(client.next().await, Message::binary(long));
    pair.server.stop().await;
}

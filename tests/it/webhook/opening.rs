//! Who is let in, and who is told so in which words.

use axum::http::Method;
use serde_json::{Value, json};

use super::backend::{Does, ok};
use super::{Client, Pair};
use crate::http::get;

#[tokio::test]
async fn the_backend_is_asked_with_who_comes_and_where_to_write() {
    let pair = Pair::start(&["--local-address", "http://gateway.example:1/"]).await;
    let headers = [("authorization", "Bearer of-the-client")];
    let client = Client::connect_with(pair.ws, &headers).await.unwrap();
    let call = &pair.backend.called(1).await[0];
    assert_eq!(call.method, Method::POST);
    assert_eq!(call.path, format!("/websocket/{}", call.id));
    assert_eq!(call.id.parse::<uuid::Uuid>().unwrap().to_string(), call.id);
    assert_eq!(call.header("authorization"), "Bearer of-the-client");
    assert_eq!(call.header("content-type"), "application/json");
    let expected = format!(
        r#"{{"code":"NEW_CONNECTION","ws_uri":"http://gateway.example:1/{}","timeout":30000}}"#,
        call.id
    );
    assert_eq!(call.text(), expected);
    drop(client);
    let calls = pair.backend.called(2).await;
    assert_eq!(calls[1].method, Method::DELETE);
    assert_eq!(calls[1].path, calls[0].path);
    assert_eq!(calls[1].header("authorization"), "Bearer of-the-client");
    let body: Value = serde_json::from_str(&calls[1].text()).unwrap();
    let ws_uri = format!("http://gateway.example:1/{}", calls[0].id);
    assert_eq!(body, json!({"code": "CONNECTION_CLOSE", "ws_uri": ws_uri}));
    pair.server.stop().await;
}

#[tokio::test]
async fn every_answer_but_ok_refuses_and_says_how() {
    let pair = Pair::start(&["--ws-timeout", "500"]).await;
    let answers = |status: u16, body: &str| Does::Answers(status, body.to_owned());
    let cases = [
        (answers(200, r#"{"code":"NO"}"#), 403),
        (answers(403, r#"{"code":"OK"}"#), 403),
        (answers(404, ""), 403),
        (answers(500, r#"{"code":"OK"}"#), 502),
        (answers(302, r#"{"code":"OK"}"#), 502),
        (answers(200, "OK"), 502),
        (answers(200, ""), 502),
        (answers(200, r#"{"code":1}"#), 502),
        (Does::Hangs, 504),
    ];
    for (does, expected) in cases {
        let rule = does.clone();
        pair.backend.does(move |_| rule.clone());
        let refused = Client::connect(pair.ws).await.err();
        assert_eq!(refused, Some(expected), "{does:?}");
    }
    // A word of it is enough, whatever else is in it, and whichever good status.
    let good = [
        (200, r#"{"x":[1],"code":"OK"}"#),
        (201, r#"{"code":"OK"}"#),
        (200, r#"{"code":"OK","send":null,"rooms":null}"#),
        (200, r#"{"code":"OK","send":"hi","rooms":["nonsense"]}"#),
    ];
    for (status, body) in good {
        pair.backend
            .does(move |_| Does::Answers(status, body.to_owned()));
        assert!(Client::connect(pair.ws).await.is_ok(), "{status} {body}");
    }
    // Who was refused has no end that anybody is told of; but for the one to whom the
    // backend said yes too late, once it did something else than hang.
    let accepted = good.len() + 1;
    pair.backend.does(|_| ok());
    let deletes = |calls: &[super::backend::Called]| {
        calls.iter().filter(|c| c.method == Method::DELETE).count() == accepted
    };
    pair.backend.until(deletes).await;
    pair.server.stop().await;
    assert!(deletes(&pair.backend.calls()));
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_a_bad_gateway() {
    let mut pair = Pair::start(&[]).await;
    pair.backend.die().await;
    for _ in 0..10 {
        assert_eq!(Client::connect(pair.ws).await.err(), Some(502));
    }
    pair.server.stop().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so_and_nobody_is_asked() {
    let pair = Pair::start(&[]).await;
    assert_eq!(get(pair.ws, "/", "").await.status, 426);
    assert_eq!(pair.backend.calls().len(), 0);
    pair.server.stop().await;
}

#[tokio::test]
async fn who_is_gone_before_the_answer_is_told_of_if_it_was_yes() {
    let pair = Pair::start(&[]).await;
    pair.backend.does(|call| match call.method {
        Method::POST => Does::Hangs,
        _ => ok(),
    });
    let connecting = tokio::spawn(Client::connect(pair.ws));
    pair.backend.called(1).await;
    connecting.abort();
    assert!(connecting.await.is_err());
    pair.backend.does(|_| ok());
    let calls = pair.backend.called(2).await;
    assert_eq!(calls[1].method, Method::DELETE);
    assert_eq!(calls[1].id, calls[0].id);
    pair.server.stop().await;
    assert_eq!(pair.backend.calls().len(), 2);
}

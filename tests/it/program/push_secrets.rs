//! The log of the push door: neither a channel's token, nor the key, nor what a
//! request was authorised by, however much is logged.

use serde_json::{Value, json};

use super::Program;
use crate::http::{self, Answer};
use crate::push_load::PUSH;
use crate::push_load::publisher::Publisher;
use crate::push_load::subscriber::Subscriber;

const KEY: &str = "the-key-of-this-door";

/// Offered in vain, as a key and as a token.
const WRONG: &str = "wrong-credentials-here";

/// Creates a channel by this key, if any.
async fn create(program: &Program, key: Option<&str>) -> Answer {
    let body = json!({
        "messageType": "SERVER_ACTION",
        "action": "CREATE_CHANNEL",
        "data": {"channel": "news"},
    });
    post(program, "/channel/create", key, &body.to_string()).await
}

async fn post(program: &Program, target: &str, key: Option<&str>, body: &str) -> Answer {
    let key = key.map(|key| format!("Authorization: Bearer {key}\r\n"));
    let (key, length) = (key.unwrap_or_default(), body.len());
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\n{key}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let stream = tokio::net::TcpStream::connect(program.address_of("push http"));
    http::ask(stream.await.unwrap(), &request).await
}

/// Bodies that are wrong in one way each, with the token in them.
fn wrong_bodies(token: &str) -> Vec<String> {
    let envelope = |data: Value| json!({"messageType": "SERVER_ACTION", "action": "PUSH_MESSAGE", "data": data});
    let wrong = [
        envelope(json!({"channel": token, "channelToken": token})),
        envelope(json!({"channel": "news", "channelToken": [token], "recipients": []})),
        envelope(json!({"channel": "news", "channelToken": token, "recipients": [token]})),
        envelope(json!(token)),
        json!({"messageType": token, "action": "PUSH_MESSAGE", "data": {}}),
        json!({"messageType": "SERVER_ACTION", "action": token, "data": {}}),
        json!(token),
    ];
    let whole = wrong[1].to_string();
    let cut = whole[..whole.find(token).unwrap() + token.len()].to_owned();
    let wrong = wrong.iter().map(Value::to_string);
    wrong.chain([cut, token.to_owned()]).collect()
}

/// All that is said of a channel from its creation to its end, by this filter if
/// there is one; and its token.
async fn used(options: &[&str], filter: &str) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("PUSH_KEY", KEY), ("RUST_LOG", filter)];
    let options = [&PUSH[..], options].concat();
    let mut program = Program::start_told(folder, &options, &environment).await;
    for (key, status) in [(None, 401), (Some(WRONG), 403)] {
        assert_eq!(create(&program, key).await.status, status, "{key:?}");
    }
    let created = create(&program, Some(KEY)).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let created: Value = serde_json::from_str(&created.body).unwrap();
    let token = created["data"]["channelToken"].as_str().unwrap().to_owned();
    assert_eq!(create(&program, Some(KEY)).await.status, 409);

    let mut subscriber = Subscriber::connect(program.address_of("push ws")).await;
    subscriber.subscribe("news").await;
    let mut publisher = Publisher::connect(program.address_of("push http")).await;
    for (offered, status) in [(WRONG, 403), (&token, 200)] {
        assert_eq!(publisher.ping("news", offered).await, status);
        let pushed = publisher.push("news", offered, &[], json!("hello")).await;
        assert_eq!(pushed, status);
    }
    assert_eq!(subscriber.next().await["message"], "hello");
    for target in ["/push", "/channel/ping", "/channel/delete", "/nowhere"] {
        for body in wrong_bodies(&token) {
            let answer = post(&program, target, Some(KEY), &body).await;
            assert!((400..500).contains(&answer.status), "{target}: {body}");
        }
    }
    assert_eq!(publisher.delete("news", WRONG).await, 403);
    assert_eq!(publisher.delete("news", &token).await, 200);
    drop((subscriber, publisher));
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
    (program.seen, token)
}

#[tokio::test]
async fn no_token_and_no_key_is_logged() {
    for (options, filter) in [
        (&["-v"][..], ""),
        (&["-v", "--log-format", "text"], ""),
        (&[], "trace"),
    ] {
        let (lines, token) = used(options, filter).await;
        for words in [
            "a channel was created",
            "a channel was deleted",
            "was refused",
        ] {
            let said = lines.iter().any(|line| line.contains(words));
            assert!(said, "{words} is not said: nothing was looked at");
        }
        for line in &lines {
            let line = line.to_lowercase();
            for secret in [&token, KEY, WRONG, "bearer", "authorization"] {
                assert!(!line.contains(&secret.to_lowercase()), "{line}");
            }
        }
    }
}

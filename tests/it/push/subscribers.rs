//! What subscribers say and hear, one message after the other: also of what is no
//! message.

use super::*;

/// The channels that are heard then, or the code, message and details of an error.
type Answered = Result<&'static str, (u16, &'static str, &'static str)>;

/// What is sent -> the channels that are heard then, or what is wrong; UUID is the
/// client's own, OTHER another one's.
const TALK: &[(&str, Answered)] = &[
    (
        r#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"a"}}"#,
        Ok(r#""a""#),
    ),
    // Twice is once.
    (
        r#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"a"}}"#,
        Ok(r#""a""#),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","action":"UNSUBSCRIBE","data":{"channel":"b"}}"#,
        Ok(r#""a""#),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","uuid":"UUID","action":"SUBSCRIBE","data":{"channel":"b"}}"#,
        Ok(r#""a","b""#),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","uuid":null,"action":"SUBSCRIBE","data":{"channel":"b"}}"#,
        Ok(r#""a","b""#),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","uuid":"OTHER","action":"UNSUBSCRIBE","data":{"channel":"b"}}"#,
        Err((403, "Forbidden", "the uuid is not that of this connection")),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"none"}}"#,
        Err((404, "Not found", "there is no channel none")),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","action":"UNSUBSCRIBE","data":{"channel":"none"}}"#,
        Err((404, "Not found", "there is no channel none")),
    ),
    (
        " {\"data\": {\"more\": 1, \"channel\":\r\n\"\\u0061\"}, \"action\" :\"UNSUBSCRIBE\", \"messageType\":\"CLIENT_ACTION\", \"more\":[]}\n",
        Ok(r#""b""#),
    ),
    (
        r#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"a"}}"#,
        Ok(r#""b","a""#),
    ),
];

#[tokio::test]
async fn each_message_is_answered_to_the_byte() {
    let server = start().await;
    create(&server, "a").await;
    create(&server, "b").await;
    let other = Subscriber::connect(&server).await;
    // The WebSocket is on any path.
    for target in ["/", "/push/any?x=1"] {
        let mut subscriber = Subscriber::connect_at(&server, target).await;
        for (sent, answered) in TALK {
            let sent = sent.replace("UUID", &subscriber.uuid);
            let sent = sent.replace("OTHER", &other.uuid);
            subscriber.client.send(sent.clone()).await;
            let expected = match answered {
                Ok(channels) => subscriber.acknowledged(channels),
                Err((code, message, details)) => error(*code, message, details),
            };
            assert_eq!(subscriber.hears().await, expected, "{sent}");
        }
    }
    drop(other);
    server.stop().await;
}

/// What is sent -> what is wrong with it.
const NONSENSE: &[(&[u8], &str)] = &[
    (b"", "there is no JSON: the text is empty"),
    (b"hello", "this is not JSON: syntax error in line 1, column 1"),
    (br#"["CLIENT_ACTION","SUBSCRIBE",null,{"channel":"a"}]"#, r#"a message must be an object, not [\"CLIENT_ACTION\",\"SUBSCRIBE\",null,{\"chan…"#),
    (b"\xff", "this is not JSON: syntax error in line 1, column 1"),
    (br#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE"}"#, "`data` is missing: it must be an object"),
    (br#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{}}"#, "`data`: `channel` is missing: it must be a string"),
    (br#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":null}}"#, "`data`: `channel` must be a string, not null"),
    (br#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":" "}}"#, "the name of the channel is empty"),
    (br#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"a","channel":"a"}}"#, "`data`: `channel` appears twice"),
    (br#"{"messageType":"CLIENT_ACTION","action":"subscribe","data":{"channel":"a"}}"#, r#"`action` must be SUBSCRIBE or UNSUBSCRIBE, not \"subscribe\""#),
    (br#"{"messageType":"SERVER_ACTION","action":"SUBSCRIBE","data":{"channel":"a"}}"#, r#"`messageType` must be CLIENT_ACTION, not \"SERVER_ACTION\""#),
    (br#"{"messageType":"CLIENT_ACTION","uuid":7,"action":"SUBSCRIBE","data":{"channel":"a"}}"#, "`uuid` must be a string, not 7"),
];

#[tokio::test]
async fn what_is_no_message_is_a_bad_request_and_the_connection_stays() {
    let server = start().await;
    create(&server, "a").await;
    let mut subscriber = Subscriber::connect(&server).await;
    for (sent, details) in NONSENSE {
        // As bytes, which are taken for text: so it may be none.
        subscriber.client.send_binary(sent).await;
        let expected = error(400, "Bad Request", details);
        let sent = String::from_utf8_lossy(sent);
        assert_eq!(subscriber.hears().await, expected, "{sent}");
    }
    subscriber.asks("SUBSCRIBE", "a").await;
    assert_eq!(subscriber.hears().await, subscriber.acknowledged(r#""a""#));
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_what_was_asked() {
    let server = start().await;
    for number in 0..25 {
        create(&server, &format!("c{number}")).await;
    }
    let mut subscriber = Subscriber::connect(&server).await;
    let (mut asks, mut expected) = (Vec::new(), Vec::new());
    let mut hears: Vec<String> = Vec::new();
    for number in 0..25 {
        let (new, old) = (format!("c{number}"), format!("c{}", number * 7 % 25));
        asks.push(ask("SUBSCRIBE", &new));
        hears.push(format!(r#""{new}""#));
        expected.push(subscriber.acknowledged(&hears.join(",")));
        asks.push(ask("UNSUBSCRIBE", &old));
        hears.retain(|channel| *channel != format!(r#""{old}""#));
        expected.push(subscriber.acknowledged(&hears.join(",")));
    }
    assert!(!hears.is_empty());
    subscriber.client.send_at_once(&asks).await;
    for (ask, expected) in asks.iter().zip(expected) {
        assert_eq!(subscriber.hears().await, expected, "{ask}");
    }
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn a_push_says_what_is_heard_at_that_moment() {
    let server = start().await;
    let (a, b) = (create(&server, "a").await, create(&server, "b").await);
    let mut subscriber = Subscriber::of(&server, "a").await;
    let both = r#""a","b""#;
    subscriber.asks("SUBSCRIBE", "b").await;
    assert_eq!(subscriber.hears().await, subscriber.acknowledged(both));
    for (channel, token) in [("a", &a), ("b", &b)] {
        pushed(&server, channel, push(channel, token, r#""message":"1""#)).await;
        let expected = subscriber.pushed(both, channel, r#""1""#);
        assert_eq!(subscriber.hears().await, expected);
    }
    subscriber.asks("UNSUBSCRIBE", "a").await;
    assert_eq!(subscriber.hears().await, subscriber.acknowledged(r#""b""#));
    for (channel, token) in [("a", &a), ("b", &b)] {
        pushed(&server, channel, push(channel, token, r#""message":"2""#)).await;
    }
    let expected = subscriber.pushed(r#""b""#, "b", r#""2""#);
    assert_eq!(subscriber.hears().await, expected);
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_is_told_by_the_close_code() {
    let server = start().await;
    let mut subscriber = Subscriber::connect(&server).await;
    let told = async {
        let told = subscriber.client.close_frame().await;
        while subscriber.client.any_packet().await.is_some() {}
        told
    };
    let (stopped, told) = tokio::join!(server.stop(), told);
    assert_eq!(told, (1001, "stopping".to_owned()));
    assert_eq!(stopped.cut, 0);
}

//! How much publishers and subscribers may send, to the byte, and how fast the latter
//! may.

use std::time::{Duration, Instant};

use super::*;

/// What a client may ask at once after a quiet time (`namespaces/push.toml`).
const BURST: usize = 200;
const PER_SECOND: usize = 50;

/// How many channels a client can hear (`namespaces/push.toml`).
const CHANNELS_MOST: usize = 100;

/// A UUID of nobody.
const NOBODY: &str = "6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0c";

#[tokio::test]
async fn limits_are_what_they_are_said_to_be() {
    let server = start().await;
    let token = create(&server, "c").await;
    let text = |chars: usize| format!(r#""message":"{}""#, "x".repeat(chars));
    let recipients = |many: usize| vec![format!(r#""{NOBODY}""#); many].join(",");
    // With blanks at the end.
    let padded = |bytes: usize| {
        let body = push("c", &token, &text(1));
        let blanks = " ".repeat(bytes - body.len());
        body + &blanks
    };
    let named = |chars: usize| {
        // Characters are counted, not their bytes.
        let data = format!(r#"{{"channel":"{}"}}"#, "\u{e9}".repeat(chars));
        action("CREATE_CHANNEL", &data)
    };
    let nested =
        |deep: usize| format!(r#""messageJson":{}1{}"#, "[".repeat(deep), "]".repeat(deep));
    let kept = |history: usize| {
        action(
            "CREATE_CHANNEL",
            &format!(r#"{{"channel":"h","history":{history}}}"#),
        )
    };
    // What is sent at the limit, and beyond it -> what is said of that
    let cases = [
        (
            "/push",
            push("c", &token, &text(65_536)),
            push("c", &token, &text(65_537)),
            error(
                413,
                "Payload Too Large",
                "a message can have 65536 bytes at most, as it is written in JSON",
            ),
        ),
        (
            "/push",
            push_to("c", &token, &recipients(10_000), &text(1)),
            push_to("c", &token, &recipients(10_001), &text(1)),
            error(
                413,
                "Payload Too Large",
                "a push can have 10000 recipients at most",
            ),
        ),
        (
            "/push",
            push("c", &token, &nested(128)),
            push("c", &token, &nested(129)),
            error(
                400,
                "Bad Request",
                "a message can be nested 128 levels deep at most",
            ),
        ),
        (
            "/push",
            padded(1024 * 1024),
            padded(1024 * 1024 + 1),
            error(413, "Payload Too Large", "the body is too big"),
        ),
        (
            "/channel/create",
            named(128),
            named(129),
            error(
                413,
                "Payload Too Large",
                "the name of the channel is longer than 128 characters",
            ),
        ),
        (
            "/channel/create",
            kept(1_000),
            kept(1_001),
            error(
                400,
                "Bad Request",
                "a channel can keep 1000 messages at most",
            ),
        ),
    ];
    for (target, at, beyond, expected) in cases {
        let answer = publish(&server, target, at).await;
        assert_eq!(answer.status, 200, "{expected}: {}", answer.body);
        let answer = publish(&server, target, beyond).await;
        assert_eq!(answer.body, expected);
        assert!(expected.contains(&answer.status.to_string()), "{expected}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_sends_too_much_in_one_message_is_told_and_closed() {
    let server = start().await;
    let mut subscriber = Subscriber::connect(&server).await;
    subscriber.client.send(" ".repeat(4_096)).await;
    let empty = "there is no JSON: the text is empty";
    assert_eq!(subscriber.hears().await, error(400, "Bad Request", empty));
    subscriber.client.send(" ".repeat(4_097)).await;
    let expected = error(
        413,
        "Payload Too Large",
        "a message can have 4096 bytes at most",
    );
    assert_eq!(subscriber.hears().await, expected);
    let close = subscriber.client.close_frame().await;
    assert_eq!(close, (1009, "too_big".to_owned()));
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn a_subscriber_above_its_rate_is_answered_later() {
    let server = start().await;
    create(&server, "a").await;
    let mut subscriber = Subscriber::connect(&server).await;
    // The burst, and what the rate allows in one second.
    let asks = vec![ask("SUBSCRIBE", "a"); BURST + PER_SECOND + 1];
    let begun = Instant::now();
    subscriber.client.send_at_once(&asks).await;
    let done = subscriber.acknowledged(r#""a""#);
    for _ in &asks {
        assert_eq!(subscriber.hears().await, done);
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn who_hears_as_many_channels_as_it_can_is_told() {
    let server = start().await;
    let mut subscriber = Subscriber::connect(&server).await;
    let mut asks = Vec::new();
    for number in 0..=CHANNELS_MOST {
        create(&server, &format!("c{number}")).await;
        asks.push(ask("SUBSCRIBE", &format!("c{number}")));
    }
    subscriber.client.send_at_once(&asks).await;
    for _ in 0..CHANNELS_MOST {
        let answer = subscriber.hears().await;
        assert!(answer.contains("CLIENT_ACK"), "{answer}");
    }
    let full = "a client can hear 100 channels at most";
    assert_eq!(
        subscriber.hears().await,
        error(429, "Too Many Requests", full)
    );
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn what_all_channels_retain_together_has_a_limit() {
    let server = start().await;
    let message = format!(r#""message":"{}""#, "x".repeat(60_000));
    let full = "there are as many channels as there can be, or they keep as much as they can";
    // What is kept counts more than once: some 180 of these.
    let mut numbers = 0..400;
    let refused = loop {
        let channel = format!("c{}", numbers.next().expect("there is a limit"));
        let token = create_as(&server, &channel, r#","retain":true"#).await;
        let answer = publish(&server, "/push", push(&channel, &token, &message)).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.body, error(429, "Too Many Requests", full));
    assert_eq!(refused.status, 429);
    // It can be pushed all the same where it is not to be kept.
    let token = create(&server, "other").await;
    pushed(&server, "other", push("other", &token, &message)).await;
    server.stop().await;
}

//! What publishers say and are answered, one request after the other; in the forms
//! in which they come from the field.

use super::*;
use crate::http::{get, header, post_with};

/// Where, what is sent, and what is answered, in this order. NEWS is the channel and
/// TOKEN its token.
const TALK: &[(&str, &str, u16, &str)] = &[
    (
        "/channel/ping",
        r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"NEWS","channelToken":null}}"#,
        404,
        r#"{"messageType":"ERROR","code":404,"message":"Not found","data":{"errorDetails":"there is no channel NEWS"}}"#,
    ),
    (
        "/push",
        r#"{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{"channel":"NEWS","channelToken":"x","recipients":[],"message":"m"}}"#,
        404,
        r#"{"messageType":"ERROR","code":404,"message":"Not found","data":{"errorDetails":"there is no channel NEWS"}}"#,
    ),
    (
        "/channel/delete",
        r#"{"messageType":"SERVER_ACTION","action":"DELETE_CHANNEL","data":{"channel":"NEWS","channelToken":"x"}}"#,
        404,
        r#"{"messageType":"ERROR","code":404,"message":"Not found","data":{"errorDetails":"there is no channel NEWS"}}"#,
    ),
    (
        "/channel/create",
        r#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"NEWS"}}"#,
        200,
        r#"{"messageType":"SERVER_ACK","code":200,"message":"Created","data":{"channel":"NEWS","channelToken":"TOKEN"}}"#,
    ),
    (
        "/channel/create",
        r#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"NEWS"}}"#,
        409,
        r#"{"messageType":"ERROR","code":409,"message":"Conflict","data":{"errorDetails":"there is a channel NEWS already"}}"#,
    ),
    (
        "/channel/ping",
        r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"NEWS","channelToken":"TOKEN"}}"#,
        200,
        r#"{"messageType":"SERVER_ACK","code":200,"message":"OK","data":{"channel":"NEWS","channelToken":null}}"#,
    ),
    (
        "/channel/ping",
        r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"NEWS","channelToken":null}}"#,
        401,
        r#"{"messageType":"ERROR","code":401,"message":"Unauthorized","data":{"errorDetails":"`channelToken` is needed for NEWS"}}"#,
    ),
    (
        "/channel/ping",
        r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"NEWS","channelToken":"wrong"}}"#,
        403,
        r#"{"messageType":"ERROR","code":403,"message":"Forbidden","data":{"errorDetails":"this is not the token of NEWS"}}"#,
    ),
    (
        "/push",
        r#"{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{"channel":"NEWS","channelToken":"TOKEN","recipients":[],"message":"hello"}}"#,
        200,
        r#"{"messageType":"SERVER_ACK","code":200,"message":"Sent","data":{"channel":"NEWS","channelToken":null}}"#,
    ),
    (
        // Nobody is there of that name: it is sent to nobody.
        "/push",
        r#"{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{"channel":"NEWS","channelToken":"TOKEN","recipients":["6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0c"],"message":"hello"}}"#,
        200,
        r#"{"messageType":"SERVER_ACK","code":200,"message":"Sent","data":{"channel":"NEWS","channelToken":null}}"#,
    ),
    (
        "/push",
        r#"{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{"channel":"NEWS","channelToken":"wrong","recipients":[],"message":"hello"}}"#,
        403,
        r#"{"messageType":"ERROR","code":403,"message":"Forbidden","data":{"errorDetails":"this is not the token of NEWS"}}"#,
    ),
    (
        "/push",
        r#"{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{"channel":"NEWS","channelToken":null,"recipients":[],"message":"hello"}}"#,
        403,
        r#"{"messageType":"ERROR","code":403,"message":"Forbidden","data":{"errorDetails":"this is not the token of NEWS"}}"#,
    ),
    (
        "/channel/delete",
        r#"{"messageType":"SERVER_ACTION","action":"DELETE_CHANNEL","data":{"channel":"NEWS","channelToken":"wrong"}}"#,
        403,
        r#"{"messageType":"ERROR","code":403,"message":"Forbidden","data":{"errorDetails":"this is not the token of NEWS"}}"#,
    ),
    (
        "/channel/delete",
        r#"{"messageType":"SERVER_ACTION","action":"DELETE_CHANNEL","data":{"channel":"NEWS","channelToken":null}}"#,
        403,
        r#"{"messageType":"ERROR","code":403,"message":"Forbidden","data":{"errorDetails":"this is not the token of NEWS"}}"#,
    ),
    (
        // Blanks, another order, and what the message need not have.
        "/channel/delete",
        "\r\n {\"more\": [1], \"data\": {\"channelToken\" : \"TOKEN\",\n\"channel\":\t\"NEWS\", \"more\": {}},\n \"action\":\"DELETE_CHANNEL\", \"messageType\":\"SERVER_ACTION\"} \n",
        200,
        r#"{"messageType":"SERVER_ACK","code":200,"message":"Deleted","data":{"channel":"NEWS","channelToken":null}}"#,
    ),
    (
        "/channel/ping",
        r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"NEWS","channelToken":"TOKEN"}}"#,
        404,
        r#"{"messageType":"ERROR","code":404,"message":"Not found","data":{"errorDetails":"there is no channel NEWS"}}"#,
    ),
];

/// Names as they are sent, and as they are answered.
const NAMES: &[(&str, &str)] = &[
    ("news", "news"),
    ("a b/c?d=%41&e#f", "a b/c?d=%41&e#f"),
    (
        "\u{434}\u{438}\u{441}\u{43a}\u{43e}",
        "\u{434}\u{438}\u{441}\u{43a}\u{43e}",
    ),
    (r"caf\u00e9", "caf\u{e9}"),
    (r"\ud83d\ude00", "\u{1f600}"),
    (r#"a\"b\\c\/d"#, r#"a\"b\\c/d"#),
    ("<script>", "<script>"),
];

#[tokio::test]
async fn each_request_is_answered_to_the_byte() {
    let server = start().await;
    for (sent, answered) in NAMES {
        let mut token = String::from("TOKEN");
        for (target, body, status, expected) in TALK {
            let body = body.replace("NEWS", sent).replace("TOKEN", &token);
            // In text that is meant for people a name is as it is written in JSON.
            let expected = expected.replace("NEWS", answered);
            let answer = publish(&server, target, &body).await;
            assert_eq!(answer.status, *status, "{body}: {}", answer.body);
            assert_eq!(header(&answer, "content-type"), Some("application/json"));
            if *target == "/channel/create" && *status == 200 {
                token = token_in(&expected, &answer.body).to_owned();
            } else {
                assert_eq!(answer.body, expected, "{body}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_is_json_whatever_it_says_it_is() {
    let server = start().await;
    let token = create(&server, "news").await;
    let data = format!(r#"{{"channel":"news","channelToken":"{token}"}}"#);
    let body = action("PING_CHANNEL", &data);
    for headers in [
        "",
        "Content-Type: application/json\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
        "Content-Type: text/plain;charset=UTF-8\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: nonsense\r\n",
        "Accept: text/html\r\n",
        // A page may push as well, with the channel's token.
        "Origin: https://elsewhere.example\r\n",
    ] {
        let answer = post_with(publishers(&server), "/channel/ping", headers, &body).await;
        assert_eq!(answer.body, done("OK", "news", "null"), "{headers}");
        assert_eq!(answer.status, 200, "{headers}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_token_is_another_one_and_fits_its_channel_alone() {
    let server = start().await;
    let tokens = [create(&server, "a").await, create(&server, "b").await];
    assert_ne!(tokens[0], tokens[1]);
    let answer = publish(&server, "/push", push("a", &tokens[1], r#""message":"m""#)).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    server.stop().await;
}

#[tokio::test]
async fn the_script_is_served_and_known_by_its_tag() {
    let server = start().await;
    let target = "/js/pushserver.js";
    let answer = get(publishers(&server), target, "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("class PushServer"), "{}", answer.body);
    let kind = header(&answer, "content-type");
    assert_eq!(kind, Some("text/javascript; charset=utf-8"));
    assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
    let known = format!("If-None-Match: {}\r\n", header(&answer, "etag").unwrap());
    let again = get(publishers(&server), target, &known).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    server.stop().await;
}

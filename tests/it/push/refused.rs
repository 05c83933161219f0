//! What is no request of a publisher, and what is said of it.

use super::*;
use crate::http::{ask as request, header};

/// What is sent to create a channel -> what is wrong with it: 400.
const NONSENSE: &[(&[u8], &str)] = &[
    (b"", "EOF while parsing a value at line 1 column 0"),
    (b"hello", "expected value at line 1 column 1"),
    (b"null", "this has to be an object"),
    (b"[]", "this has to be an object"),
    (br#"["SERVER_ACTION","CREATE_CHANNEL",null,{"channel":"c"}]"#, "this has to be an object"),
    (b"{}", "missing field `messageType` at line 1 column 2"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"c\"}", "EOF while parsing an object at line 1 column 79"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"c\"}} x", "trailing characters at line 1 column 82"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"\xff\"}}", "invalid unicode code point at line 1 column 77"),
    (br#"{"messageType":"CLIENT_ACTION","action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, "`messageType` has to be SERVER_ACTION here"),
    (br#"{"action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, "missing field `messageType` at line 1 column 50"),
    (br#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL"}"#, "missing field `data` at line 1 column 57"),
    (br#"{"messageType":"SERVER_ACTION","messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, "duplicate field `messageType` at line 1 column 44"),
];

/// Where, the `action` and its `data` -> what is wrong with it: 400.
const NO_ACTION: &[(&str, &str, &str, &str)] = &[
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"["c",false,1]"#,
        "`data`: this has to be an object",
    ),
    (
        "/channel/create",
        "PING_CHANNEL",
        r#"{"channel":"c"}"#,
        "`action` has to be CREATE_CHANNEL here",
    ),
    (
        "/channel/ping",
        "CREATE_CHANNEL",
        r#"{"channel":"c"}"#,
        "`action` has to be PING_CHANNEL here",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#""c""#,
        "`data`: this has to be an object",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"null"#,
        "`data`: this has to be an object",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{}"#,
        "`data`: missing field `channel` at line 1 column 2",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":7}"#,
        "`data`: invalid type: integer `7`, expected a string at line 1 column 12",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":""}"#,
        "the name of the channel is empty",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"a\nb"}"#,
        "the name of the channel holds the character U+000A, which is not for names",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"\ud800"}"#,
        "`data`: unexpected end of hex escape at line 1 column 19",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","channel":"d"}"#,
        "`data`: duplicate field `channel` at line 1 column 24",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","history":-1}"#,
        "`data`: `history` has to be a whole number",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","history":"5"}"#,
        "`data`: `history` has to be a whole number",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","retian":true}"#,
        "`data`: `retian` means nothing; did you mean `retain`?",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","retain":1}"#,
        "`data`: invalid type: integer `1`, expected a boolean at line 1 column 25",
    ),
    (
        "/channel/ping",
        "PING_CHANNEL",
        r#"{"channel":"c"}"#,
        "`data`: missing field `channelToken` at line 1 column 15",
    ),
    (
        "/channel/delete",
        "DELETE_CHANNEL",
        r#"{"channel":"c","channelToken":7}"#,
        "`data`: invalid type: integer `7`, expected a string at line 1 column 31",
    ),
];

#[tokio::test]
async fn what_is_not_the_routes_message_is_a_bad_request() {
    let server = start().await;
    let whole = NONSENSE
        .iter()
        .map(|(body, details)| ("/channel/create", body.to_vec(), details));
    let data = NO_ACTION
        .iter()
        .map(|(target, name, data, details)| (*target, action(name, data).into_bytes(), details));
    for (target, body, details) in whole.chain(data) {
        let answer = publish(&server, target, &body).await;
        let sent = String::from_utf8_lossy(&body);
        assert_eq!(answer.body, error(400, "Bad Request", details), "{sent}");
        assert_eq!(answer.status, 400, "{sent}");
    }
    server.stop().await;
}

/// Of a channel `c` with the token TOKEN: `data` -> what is wrong with it.
const NO_PUSH: &[(&str, &str)] = &[
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[]}"#,
        "give one of `message` (a string) and `messageJson` (any JSON)",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"message":null}"#,
        "`message` has to be a string; any JSON goes as `messageJson`",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"message":7}"#,
        "`message` has to be a string; any JSON goes as `messageJson`",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"message":["m"]}"#,
        "`message` has to be a string; any JSON goes as `messageJson`",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"message":"a","message":"b"}"#,
        "`data`: duplicate field `message` at line 1 column 136",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"messageJson":1e}"#,
        "invalid number at line 1 column 192",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","message":"m"}"#,
        "`data`: missing field `recipients` at line 1 column 111",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":null,"message":"m"}"#,
        "`data`: invalid type: null, expected a sequence at line 1 column 114",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":"all","message":"m"}"#,
        r#"`data`: invalid type: string \"all\", expected a sequence at line 1 column 115"#,
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":["anna"],"message":"m"}"#,
        "`data`: UUID parsing failed: invalid character: found `n` at 1 at line 1 column 117",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":["6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0"],"message":"m"}"#,
        "`data`: UUID parsing failed: invalid group length in group 4: expected 12, found 11 at line 1 column 148",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[null],"message":"m"}"#,
        "`data`: invalid type: null, expected a formatted UUID string at line 1 column 115",
    ),
    (
        r#"{"channel":"c","recipients":[],"message":"m"}"#,
        "`data`: missing field `channelToken` at line 1 column 45",
    ),
];

#[tokio::test]
async fn what_can_not_be_pushed_is_refused() {
    let server = start().await;
    let token = create(&server, "c").await;
    for (data, details) in NO_PUSH {
        let data = data.replace("TOKEN", &token);
        let answer = publish(&server, "/push", action("PUSH_MESSAGE", &data)).await;
        assert_eq!(answer.body, error(400, "Bad Request", details), "{data}");
        assert_eq!(answer.status, 400, "{data}");
    }
    server.stop().await;
}

#[tokio::test]
async fn other_methods_and_other_paths_have_the_same_form() {
    let server = start().await;
    let wrong = error(
        405,
        "Method Not Allowed",
        "this takes other methods, which `Allow` names",
    );
    let nothing = error(404, "Not found", "there is nothing here");
    // The request -> the answer, and the methods that it names
    let cases = [
        ("GET /push", &wrong, Some("POST")),
        ("PUT /channel/create", &wrong, Some("POST")),
        ("DELETE /channel/delete", &wrong, Some("POST")),
        // Methods are case-sensitive (RFC 9110, section 9.1).
        ("post /push", &wrong, Some("POST")),
        ("Post /channel/ping", &wrong, Some("POST")),
        ("POST /js/pushserver.js", &wrong, Some("GET,HEAD")),
        ("GET /", &nothing, None),
        ("POST /", &nothing, None),
        ("POST /push/", &nothing, None),
        ("POST /PUSH", &nothing, None),
        ("POST /channel", &nothing, None),
        ("POST /channel/create/news", &nothing, None),
        ("GET /js/", &nothing, None),
    ];
    for (line, expected, allowed) in cases {
        let stream = tokio::net::TcpStream::connect(publishers(&server)).await;
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = request(stream.unwrap(), head).await;
        assert_eq!(answer.body, *expected, "{line}");
        assert!(expected.contains(&answer.status.to_string()), "{line}");
        assert_eq!(header(&answer, "allow"), allowed, "{line}");
    }
    server.stop().await;
}

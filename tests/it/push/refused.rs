//! What is no request of a publisher, and what is said of it.

use super::*;
use crate::http::{ask as request, header};

/// What is sent to create a channel -> what is wrong with it: 400.
const NONSENSE: &[(&[u8], &str)] = &[
    (b"", "there is no JSON: the text is empty"),
    (b"hello", "this is not JSON: syntax error in line 1, column 1"),
    (b"null", "a message must be an object, not null"),
    (b"[]", "a message must be an object, not []"),
    (br#"["SERVER_ACTION","CREATE_CHANNEL",null,{"channel":"c"}]"#, r#"a message must be an object, not [\"SERVER_ACTION\",\"CREATE_CHANNEL\",null,{…"#),
    (b"{}", "`messageType` is missing: it must be SERVER_ACTION"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"c\"}", "this is not JSON: it ends too early"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"c\"}} x", "this is not JSON: syntax error in line 1, column 82"),
    (b"{\"messageType\":\"SERVER_ACTION\",\"action\":\"CREATE_CHANNEL\",\"data\":{\"channel\":\"\xff\"}}", "this is not JSON: syntax error in line 1, column 77"),
    (br#"{"messageType":"CLIENT_ACTION","action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, r#"`messageType` must be SERVER_ACTION, not \"CLIENT_ACTION\""#),
    (br#"{"action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, "`messageType` is missing: it must be SERVER_ACTION"),
    (br#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL"}"#, "`data` is missing: it must be an object"),
    (br#"{"messageType":"SERVER_ACTION","messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"c"}}"#, "`messageType` appears twice"),
];

/// Where, the `action` and its `data` -> what is wrong with it: 400.
const NO_ACTION: &[(&str, &str, &str, &str)] = &[
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"["c",false,1]"#,
        r#"`data` must be an object, not [\"c\",false,1]"#,
    ),
    (
        "/channel/create",
        "PING_CHANNEL",
        r#"{"channel":"c"}"#,
        r#"`action` must be CREATE_CHANNEL, not \"PING_CHANNEL\""#,
    ),
    (
        "/channel/ping",
        "CREATE_CHANNEL",
        r#"{"channel":"c"}"#,
        r#"`action` must be PING_CHANNEL, not \"CREATE_CHANNEL\""#,
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#""c""#,
        r#"`data` must be an object, not \"c\""#,
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"null"#,
        "`data` must be an object, not null",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{}"#,
        "`data`: `channel` is missing: it must be a string",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":7}"#,
        "`data`: `channel` must be a string, not 7",
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
        r#"`data`: `channel` must be a string, not \"\\ud800\""#,
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","channel":"d"}"#,
        "`data`: `channel` appears twice",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","history":-1}"#,
        "`data`: `history` must be a whole number, not -1",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","history":"5"}"#,
        r#"`data`: `history` must be a whole number, not \"5\""#,
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","retian":true}"#,
        "`data`: there is no field `retian`; did you mean `retain`?",
    ),
    (
        "/channel/create",
        "CREATE_CHANNEL",
        r#"{"channel":"c","retain":1}"#,
        "`data`: `retain` must be true or false, not 1",
    ),
    (
        "/channel/ping",
        "PING_CHANNEL",
        r#"{"channel":"c"}"#,
        "`data`: `channelToken` is missing: it must be a string or null",
    ),
    (
        "/channel/delete",
        "DELETE_CHANNEL",
        r#"{"channel":"c","channelToken":7}"#,
        "`data`: `channelToken` must be a string or null, not 7",
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
        "`data`: `message` appears twice",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[],"messageJson":1e}"#,
        "this is not JSON: syntax error in line 1, column 192",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","message":"m"}"#,
        "`data`: `recipients` is missing: it must be a list of UUIDs",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":null,"message":"m"}"#,
        "`data`: `recipients` must be a list of UUIDs, not null",
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":"all","message":"m"}"#,
        r#"`data`: `recipients` must be a list of UUIDs, not \"all\""#,
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":["anna"],"message":"m"}"#,
        r#"`data`: `recipients` must be a list of UUIDs, not [\"anna\"]"#,
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":["6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0"],"message":"m"}"#,
        r#"`data`: `recipients` must be a list of UUIDs, not [\"6d4ccc32-6e05-4a5d-8a0f-2f4f64a1ac0\"]"#,
    ),
    (
        r#"{"channel":"c","channelToken":"TOKEN","recipients":[null],"message":"m"}"#,
        "`data`: `recipients` must be a list of UUIDs, not [null]",
    ),
    (
        r#"{"channel":"c","recipients":[],"message":"m"}"#,
        "`data`: `channelToken` is missing: it must be a string or null",
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
        "this endpoint takes other methods, which the header `Allow` names",
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

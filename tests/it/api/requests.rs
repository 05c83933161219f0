//! Requests that the server refuses for their form (`Host`, parameters, JSON), and the error texts.

use serde_json::Value;
use tokio::net::TcpStream;

use super::{BEARER, is_problem, open_to_backends, post};
use crate::http::{ask, get};
use crate::server::TestServer;

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = TestServer::start_with(&["--push", "--push-http", "0", "--push-ws", "0"]).await;
    let publishers = server.push.unwrap().0;
    for (version, hosts, status) in [
        ("1.1", &["radio.example"][..], 200),
        ("1.1", &["127.0.0.1:3000"], 200),
        ("1.1", &[""], 200),
        ("1.0", &[], 200),
        ("1.0", &["radio.example"], 200),
        ("1.1", &[], 400),
        ("1.1", &["a.example", "b.example"], 400),
        ("1.1", &["a.example", "a.example"], 400),
        ("1.0", &["a.example", "b.example"], 400),
        ("1.1", &["a.example/b"], 400),
        ("1.1", &["a@b.example"], 400),
    ] {
        let headers: String = hosts
            .iter()
            .map(|host| format!("Host: {host}\r\n"))
            .collect();
        for (address, target) in [
            (server.address, "/health"),
            (server.address, "/api/now-playing"),
            (server.address, "/socket.io/?EIO=4&transport=polling"),
            (publishers, "/js/pushserver.js"),
        ] {
            let request =
                format!("GET {target} HTTP/{version}\r\n{headers}Connection: close\r\n\r\n");
            let stream = TcpStream::connect(address).await.unwrap();
            let answer = ask(stream, request).await;
            assert_eq!(answer.status, status, "{target} {version} {hosts:?}");
            if status == 400 {
                is_problem(&answer, 400, "invalid_host");
                assert!(answer.body.contains("`Host`"), "{}", answer.body);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_with_the_nearest_one() {
    let server = open_to_backends().await;
    let all = "there are: limit, q, from, to, all, format";
    for (target, name, hint) in [
        (
            "/api/now-playing/history?limt=1",
            "limt",
            "did you mean `limit`?",
        ),
        (
            "/api/now-playing/history?limit=1&fromm=2026-03-01",
            "fromm",
            "did you mean `from`?",
        ),
        (
            "/api/now-playing/history?Format=csv",
            "Format",
            "did you mean `format`?",
        ),
        ("/api/now-playing/history?utm_source=x", "utm_source", all),
        (
            "/api/now-playing.php?l%69mits=1",
            "limits",
            "did you mean `limit`?",
        ),
        (
            "/api/now-playing?limit=1",
            "limit",
            "this request takes none",
        ),
        (
            "/api/openapi.json?format=yaml",
            "format",
            "this request takes none",
        ),
        (
            "/api/bus/r?token=0123456789abcdef",
            "token",
            "this request takes none",
        ),
        (
            "/api/metadata/now-playing?x",
            "x",
            "this request takes none",
        ),
    ] {
        let answer = match target.starts_with("/api/bus") || target.contains("metadata") {
            true => post(&server, target, BEARER, "1").await,
            false => get(server.address, target, "").await,
        };
        is_problem(&answer, 400, "invalid_query");
        let said = format!("there is no parameter `{name}`; {hint}");
        assert!(answer.body.contains(&said), "{target}: {}", answer.body);
        assert!(!answer.body.contains("0123456789abcdef"), "{}", answer.body);
    }
    // Pages add `_` to get past caches, and backends of the original server may add any parameter.
    for (target, status) in [
        ("/api/now-playing?_=1792000000000", 200),
        ("/api/now-playing.php?q=25&_=1792000000000", 200),
        ("/api/openapi.json?_=", 200),
        ("/health?probe=1", 200),
    ] {
        assert_eq!(
            get(server.address, target, "").await.status,
            status,
            "{target}"
        );
    }
    let answer = post(&server, "/bus-message/r?verb=play", "", "1").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.stop().await;
}

/// The target, the body, and the error text.
const WRONG: &[(&str, &str, &str)] = &[
    ("/api/bus/r", "", "there is no JSON: the text is empty"),
    (
        "/api/bus/r",
        "{\"a\":",
        "this is not JSON: it ends too early",
    ),
    (
        "/api/bus/r",
        "{\n\"a\":,}",
        "this is not JSON: syntax error in line 2, column 5",
    ),
    (
        "/bus-message/r",
        "verb=play",
        "this is not JSON: syntax error in line 1, column 1",
    ),
    ("/api/bus/%ff", "1", "the path is not UTF-8"),
    (
        "/api/metadata/next",
        "[1]",
        "a track must be an object, not [1]",
    ),
    (
        "/api/metadata/next",
        "\"T\"",
        "a track must be an object, not \"T\"",
    ),
    (
        "/api/metadata/next",
        "{}",
        "`track` is missing: it must be a string",
    ),
    (
        "/api/metadata/next",
        r#"{"track":null}"#,
        "`track` must be a string, not null",
    ),
    (
        "/api/metadata/next",
        r#"{"track":["T"]}"#,
        "`track` must be a string, not [\"T\"]",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","artist":7}"#,
        "`artist` must be a string, not 7",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","length":"4:05"}"#,
        "`length` must be a number of milliseconds, not \"4:05\"",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","length":1e999}"#,
        "`length` must be a number of milliseconds, not 1e999",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","length":-2}"#,
        "`length` must be a number of milliseconds from 0 to 86400000, not -2.0",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","timestampUTC":"tomorrow"}"#,
        "`timestampUTC` must be a time such as 2026-11-21T18:00:00Z, not \"tomorrow\"",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","startedAt":1792000000}"#,
        "`startedAt` must be a time such as 2026-11-21T18:00:00Z, not 1792000000",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","timestampUTC":"2099-01-01T00:00:00Z"}"#,
        "the start must be a time after 1970 and at most a day ahead, not \"2099-01-01T00:00:00Z\"",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","track":"U"}"#,
        "`track` appears twice",
    ),
    (
        "/api/metadata/next",
        r#"{"track":"T","lenght":1}"#,
        "there is no field `lenght`; did you mean `length`?",
    ),
];

#[tokio::test]
async fn errors_name_the_field_and_what_is_wanted() {
    let server = open_to_backends().await;
    for (target, body, said) in WRONG {
        let answer = post(&server, target, BEARER, body).await;
        is_problem(&answer, 400, "invalid_request");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["detail"], *said, "{target} {body}");
    }
    server.stop().await;
}

/// Refusals of event streams are problem details as well, not the router's own text.
#[tokio::test]
async fn server_sent_events_are_refused_by_problems() {
    let server = TestServer::start().await;
    is_problem(
        &get(server.address, "/events/bus/%ff", "").await,
        400,
        "invalid_request",
    );
    let answer = post(&server, "/events/bus/r", "", "1").await;
    is_problem(&answer, 405, "method_not_allowed");
    server.stop().await;
}

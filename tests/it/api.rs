//! The HTTP API: publishing for backends; bodies, tracks and what was played
//! have files of their own.

mod bodies;
mod described;
mod long;
mod played;
mod requests;
mod tracks;

use roomcast::config::Config;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::http::{Answer, ask, get, header, post_with};
use crate::server::{TestServer, config};

pub const TOKEN: &str = "0123456789abcdef";
pub const BEARER: &str = "Authorization: Bearer 0123456789abcdef\r\n";
const WRONG: &str = "Authorization: Bearer 0123456789abcdeF\r\n";

async fn post(server: &TestServer, target: &str, headers: &str, body: &str) -> Answer {
    post_with(server.address, target, headers, body).await
}

/// A server that backends publish in, in `/bus` and `/metadata`.
async fn open_to_backends() -> TestServer {
    TestServer::start_as(with_tokens(config(&[]))).await
}

/// The same settings, with the token for these namespaces.
pub fn with_tokens(mut config: Config) -> Config {
    for namespace in ["/bus", "/metadata"] {
        let token = TOKEN.parse().unwrap();
        config.tokens.insert(namespace.parse().unwrap(), token);
    }
    config
}

fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let kind = "content-type: application/problem+json";
    assert!(answer.head.contains(kind), "{}", answer.head);
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    let row = format!("| `{code}` |");
    assert!(
        include_str!("../../docs/errors.md").contains(&row),
        "{code} is not documented"
    );
}

#[tokio::test]
async fn a_backend_reaches_the_clients_of_a_room() {
    let server = open_to_backends().await;
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    client.join("a b").await;
    for (target, headers) in [("/bus-message/a%20b", ""), ("/api/bus/a%20b", BEARER)] {
        // No Content-Type: backends in the field send none.
        let answer = post(&server, target, headers, r#"{"b": 1.50, "a": null}"#).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        let event = client.next().await;
        assert_eq!(event["sender"], "POST");
        assert_eq!(event["message"], json!({"b": 1.50, "a": null}));
        if target.starts_with("/api") {
            let done: Value = serde_json::from_str(&answer.body).unwrap();
            let offset = &event["offset"];
            let expected = json!({"status": "ok", "room": "a b", "offset": offset});
            assert_eq!(done, expected);
        } else {
            assert_eq!(answer.body, "OK");
        }
    }
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn what_a_backend_may_not_is_refused() {
    let closed = TestServer::start().await;
    let open = open_to_backends().await;
    let keyed = TestServer::start_as(with_tokens(config(&["--require-token"]))).await;
    let long = format!("/bus-message/{}", "x".repeat(300));
    let big = format!("\"{}\"", "x".repeat(1_050_000));
    let bigger = format!("\"{}\"", "x".repeat(3_000_000));
    let page = "Origin: https://example.com\r\n";
    let spoofed = "X-Forwarded-For: 127.0.0.1\r\n";
    // server, target, headers, body -> status, code
    let cases = [
        (
            &closed,
            "/bus-message/r",
            "",
            "not json",
            400,
            "invalid_request",
        ),
        (&closed, "/bus-message/r", "", "", 400, "invalid_request"),
        (&closed, long.as_str(), "", "1", 400, "invalid_name"),
        (&closed, "/bus-message/r", "", big.as_str(), 413, "too_big"),
        (
            &closed,
            "/bus-message/r",
            "",
            bigger.as_str(),
            413,
            "too_big",
        ),
        (&closed, "/bus-message/r", page, "1", 403, "no_token"),
        (&closed, "/bus-message/r", spoofed, "1", 403, "no_token"),
        (
            &closed,
            "/bus-message/r",
            "Host: evil.example\r\n",
            "1",
            403,
            "host_not_allowed",
        ),
        (&keyed, "/bus-message/r", "", "1", 401, "token_needed"),
        (&keyed, "/bus-message/r", WRONG, "1", 403, "wrong_token"),
        (&open, "/bus-message/r", page, "1", 401, "token_needed"),
        (&open, "/bus-message/r", spoofed, "1", 401, "token_needed"),
        (&closed, "/api/bus/r", "", "1", 403, "no_token"),
        (&closed, "/api/bus/r", BEARER, "1", 403, "no_token"),
        (&open, "/api/bus/r", "", "1", 401, "token_needed"),
        (
            &open,
            "/api/bus/r",
            "Authorization: Basic eA==\r\n",
            "1",
            401,
            "token_needed",
        ),
        (&open, "/api/bus/r", WRONG, "1", 403, "wrong_token"),
        (&open, "/api/bus/r", BEARER, "{", 400, "invalid_request"),
        (&open, "/api/bus/%00", BEARER, "1", 400, "invalid_name"),
        (&open, "/api/bus/%ff", BEARER, "1", 400, "invalid_request"),
        (&open, "/bus-message/%ff", "", "1", 400, "invalid_request"),
        (&open, "/api/bus/r", BEARER, big.as_str(), 413, "too_big"),
        (&open, "/api/layout/r", BEARER, "1", 403, "not_allowed"),
        (&open, "/api/lobby/r", BEARER, "1", 403, "not_allowed"),
        (&open, "/api/schedule/r", BEARER, "1", 403, "reserved"),
        (
            &open,
            "/api/nowhere/r",
            BEARER,
            "1",
            404,
            "unknown_namespace",
        ),
        (
            &open,
            "/api/NOWHERE/r",
            BEARER,
            "1",
            404,
            "unknown_namespace",
        ),
    ];
    for (server, target, headers, body, status, code) in cases {
        let answer = post(server, target, headers, body).await;
        is_problem(&answer, status, code);
        let asks = answer.head.contains("www-authenticate: Bearer");
        assert_eq!(asks, status == 401, "{}", answer.head);
    }
    closed.stop().await;
    open.stop().await;
    keyed.stop().await;
}

/// A token for a namespace that nobody publishes in over HTTP is a slip.
#[tokio::test]
async fn a_token_that_opens_nothing_is_a_start_error() {
    for namespace in ["/layout", "/nowhere", "/schedule"] {
        let mut config = config(&[]);
        let token = TOKEN.parse().unwrap();
        config.tokens.insert(namespace.parse().unwrap(), token);
        let refused = roomcast::Server::bind(config).await;
        let said = refused.err().expect("it starts").to_string();
        let variable = namespace.replace('/', "ROOMCAST_TOKEN_").to_uppercase();
        assert!(said.starts_with(&variable), "{said}");
    }
}

/// Whoever speaks to the API by mistake is told in its words. Other doors answer
/// in theirs.
#[tokio::test]
async fn what_there_is_not_is_a_problem_as_well() {
    let server = TestServer::start().await;
    for (method, target, status, code, allow) in [
        ("GET", "/api/nothing", 404, "not_found", None),
        ("POST", "/api/nothing", 404, "not_found", None),
        ("GET", "/api/now-playing/", 404, "not_found", None),
        ("GET", "/api/a/b/c", 404, "not_found", None),
        ("DELETE", "/api/a/b/c/d", 404, "not_found", None),
        (
            "POST",
            "/api/now-playing",
            405,
            "method_not_allowed",
            Some("GET,HEAD"),
        ),
        ("GET", "/api/bus/r", 405, "method_not_allowed", Some("POST")),
        (
            "GET",
            "/bus-message/r",
            405,
            "method_not_allowed",
            Some("POST"),
        ),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let stream = TcpStream::connect(server.address).await.unwrap();
        let answer = ask(stream, &request).await;
        is_problem(&answer, status, code);
        assert_eq!(header(&answer, "allow"), allow, "{method} {target}");
    }
    for (target, status) in [
        ("/api/?target=metadata", 426),
        ("/api/", 400),
        ("/nothing", 404),
    ] {
        let answer = get(server.address, target, "").await;
        assert_eq!(answer.status, status, "{target}");
        assert!(
            !answer.head.contains("problem+json"),
            "{target}: {}",
            answer.head
        );
    }
    server.stop().await;
}

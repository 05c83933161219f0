//! Bodies that nobody has to read: of who may not publish, too big, too slow.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BEARER, WRONG, is_problem, open_to_backends};
use crate::expiry::pass;
use crate::http::{Answer, ask};
use crate::server::TestServer;

/// Nobody makes the server hold a body that it will not take: neither who has no
/// token, nor who sends more than a message.
#[tokio::test]
async fn who_has_no_token_is_refused_before_the_body() {
    let server = open_to_backends().await;
    let page = "Origin: https://example.com\r\n";
    for (target, headers) in [
        ("/api/bus/a", ""),
        ("/api/bus/a", WRONG),
        ("/api/nowhere/a", BEARER),
        ("/bus-message/a", page),
    ] {
        // All but the first byte of it is missing, and never comes.
        let answer = begin(&server, target, headers, "\"").await;
        assert_eq!(answer.status / 100, 4, "{target} {headers}");
        assert_ne!(answer.status, 408, "{target} {headers}");
    }
    // It does not even wait for what was announced.
    let more = "x".repeat(1_200_000);
    for (target, headers) in [("/api/bus/a", BEARER), ("/bus-message/a", "")] {
        let answer = begin(&server, target, headers, &more).await;
        is_problem(&answer, 413, "too_big");
    }
    server.stop().await;
}

/// The answer to a request whose body stops behind this beginning.
async fn begin(server: &TestServer, target: &str, headers: &str, body: &str) -> Answer {
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 2000000\r\nConnection: close\r\n\r\n{body}"
    );
    ask(TcpStream::connect(server.address).await.unwrap(), &request).await
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = open_to_backends().await;
    for (target, headers) in [("/api/bus/a", BEARER), ("/bus-message/a", "")] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Said when the body is waited for.
        let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{go_on:?}");
        pass(11).await;
        is_problem(&ask(stream, "1").await, 408, "too_slow");
    }
    server.stop().await;
}

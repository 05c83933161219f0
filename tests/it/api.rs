//! HTTP for backends: `POST /bus-message/:room`.

use serde_json::json;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::http::{Answer, ask};
use crate::server::TestServer;

async fn bus_message(server: &TestServer, room: &str, headers: &str, body: &str) -> Answer {
    let request = format!(
        "POST /bus-message/{room} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(TcpStream::connect(server.address).await.unwrap(), &request).await
}

#[tokio::test]
async fn a_backend_reaches_the_clients_of_a_room() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    client.join("r").await;
    // No Content-Type: backends in the field send none.
    let answer = bus_message(&server, "r", "", r#"{"b": 1.50, "a": null}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    let event = client.next().await;
    assert_eq!(event["sender"], "POST");
    assert_eq!(event["message"], json!({"b": 1.50, "a": null}));
    server.stop().await;
}

#[tokio::test]
async fn what_a_backend_may_not_is_refused() {
    let server = TestServer::start().await;
    let long = "x".repeat(200);
    let big = format!("\"{}\"", "x".repeat(70_000));
    // room, headers, body -> status, code
    let cases = [
        ("r", "", "not json", 400, "invalid_request"),
        ("r", "", "", 400, "invalid_request"),
        (long.as_str(), "", "1", 400, "invalid_name"),
        ("r", "", big.as_str(), 413, "too_big"),
        ("r", "Origin: https://example.com\r\n", "1", 403, "no_token"),
        ("r", "X-Forwarded-For: 127.0.0.1\r\n", "1", 403, "no_token"),
    ];
    for (room, headers, body, status, code) in cases {
        let answer = bus_message(&server, room, headers, body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(
            answer.head.contains("application/problem+json"),
            "{}",
            answer.head
        );
        assert!(
            answer.body.contains(&format!(r#""code":"{code}""#)),
            "{}",
            answer.body
        );
    }
    server.stop().await;
}

//! How a session begins (Engine.IO v4, "Protocol: Handshake" and "Transports:
//! Query parameters"; v3, "Anatomy of an Engine.IO session" and "URLs"), and
//! which requests begin none.

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::VERSIONS;
use super::peer::{Polling, handshake};
use crate::client::Client;
use crate::http::{Answer, ask, get};
use crate::server::TestServer;

/// What is said of every session, besides its id.
fn assert_says(mut said: Value, upgrades: Value) {
    let sid = said.as_object_mut().unwrap().remove("sid").unwrap();
    assert!(sid.as_str().unwrap().len() >= 16, "{sid}");
    let expected = json!({
        "upgrades": upgrades,
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 2 * 1024 * 1024,
    });
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_session_opens() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let (_, said) = Polling::open(&server, eio).await;
        assert_says(said, json!(["websocket"]));
        let query = format!("EIO={eio}");
        let mut client = Client::websocket(server.address, &query).await;
        let said = handshake(&client.any_packet().await.unwrap());
        assert_says(said, json!([]));
    }
    server.stop().await;
}

/// Engine.IO v4, "Headers": a payload without binary packets is text. In v3 it is binary, unless the
/// client asks for text.
#[tokio::test]
async fn a_payload_says_what_it_is() {
    let server = TestServer::start().await;
    let text = "text/plain; charset=utf-8";
    for (query, kind) in [
        ("EIO=4", text),
        ("EIO=3&b64=1", text),
        ("EIO=3", "application/octet-stream"),
    ] {
        let target = format!("/socket.io/?{query}&transport=polling");
        let opened = get(server.address, &target, "").await;
        let head = opened.head.to_ascii_lowercase();
        assert!(
            head.contains(&format!("\r\ncontent-type: {kind}")),
            "{head}"
        );
    }
    server.stop().await;
}

/// What a handshake must not say, by each method: the message is the SDKs'.
#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    let server = TestServer::start().await;
    let unknown_version = "Unsupported protocol version";
    let unknown_transport = "Transport unknown";
    let cases = [
        ("GET", "EIO=abc&transport=TRANSPORT", unknown_version),
        ("GET", "EIO=&transport=TRANSPORT", unknown_version),
        ("GET", "EIO=5&transport=TRANSPORT", unknown_version),
        ("GET", "EIO=3", unknown_transport),
        ("GET", "EIO=4", unknown_transport),
        ("GET", "EIO=3&transport=abc", unknown_transport),
        ("GET", "EIO=4&transport=abc", unknown_transport),
        ("POST", "EIO=3&transport=TRANSPORT", "Bad handshake method"),
        ("POST", "EIO=4&transport=TRANSPORT", "Bad handshake method"),
        ("PUT", "EIO=3&transport=TRANSPORT", "Bad handshake method"),
        ("PUT", "EIO=4&transport=TRANSPORT", "Bad handshake method"),
    ];
    for (method, query, message) in cases {
        for (transport, upgrade) in [("polling", false), ("websocket", true)] {
            let query = query.replace("TRANSPORT", transport);
            let refused = request(&server, method, &query, upgrade).await;
            assert_eq!(refused.status, 400, "{method} {query}");
            let said: Value = serde_json::from_str(&refused.body).unwrap();
            assert_eq!(said["message"], message, "{method} {query}");
        }
    }
    server.stop().await;
}

/// An id that is no session's, or is none at all, opens nothing either.
#[tokio::test]
async fn an_unknown_session_is_refused() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        for sid in ["AAAAAAAAAAAAAAAA", "garbage", ""] {
            for (method, transport) in [
                ("GET", "polling"),
                ("POST", "polling"),
                ("GET", "websocket"),
            ] {
                let query = format!("EIO={eio}&transport={transport}&sid={sid}");
                let refused = request(&server, method, &query, transport == "websocket").await;
                assert_eq!(refused.status, 400, "{method} {query}");
                let said: Value = serde_json::from_str(&refused.body).unwrap();
                assert_eq!(said["message"], "Session ID unknown", "{method} {query}");
            }
        }
    }
    server.stop().await;
}

/// A method that a session has no use for ends nothing.
#[tokio::test]
async fn an_invalid_method_leaves_the_session() {
    let server = TestServer::start().await;
    for eio in VERSIONS {
        let (polling, _) = Polling::open(&server, eio).await;
        let query = polling.target.split_once('?').unwrap().1;
        for method in ["PUT", "DELETE", "PATCH"] {
            assert_eq!(request(&server, method, query, false).await.status, 400);
        }
        assert_eq!(polling.post(&["40/bus,"]).await.status, 200);
    }
    server.stop().await;
}

async fn request(server: &TestServer, method: &str, query: &str, upgrade: bool) -> Answer {
    let upgrade = match upgrade {
        false => "Connection: close\r\n",
        true => {
            "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
    };
    let request = format!("{method} /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n");
    ask(TcpStream::connect(server.address).await.unwrap(), &request).await
}

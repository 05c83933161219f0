//! Backends and publishers in languages whose strings are bytes, such as PHP: their JSON may begin
//! with a byte order mark, or use another charset that `Content-Type` names.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::http::{Answer, ask, post_with};
use crate::server::TestServer;
use crate::webhook::backend::Does;
use crate::webhook::{Client as WebSocket, Pair, rest};

/// An `é` in each charset, as the content of a JSON text, with its media type.
const TEXTS: [(&str, &[u8]); 6] = [
    (
        "application/json",
        b"\xef\xbb\xbf{\"text\":\"caf\xc3\xa9\"}",
    ),
    (
        "application/json; charset=utf-8",
        b"\xef\xbb\xbf{\"text\":\"caf\xc3\xa9\"}",
    ),
    ("text/plain; charset=iso-8859-1", b"{\"text\":\"caf\xe9\"}"),
    (
        "application/json;charset=\"windows-1252\"",
        b"{\"text\":\"caf\xe9\"}",
    ),
    ("text/plain; charset=us-ascii", b"{\"text\":\"caf\\u00e9\"}"),
    (
        "application/json; charset=utf-16",
        b"\xff\xfe{\0\"\0t\0e\0x\0t\0\"\0:\0\"\0c\0a\0f\0\xe9\0\"\0}\0",
    ),
];

const UNKNOWN: &str = "text/plain; charset=klingon";

async fn post(to: SocketAddr, target: &str, kind: &str, body: &[u8]) -> Answer {
    post_with(to, target, &format!("Content-Type: {kind}\r\n"), body).await
}

#[tokio::test]
async fn every_endpoint_reads_marks_and_charsets() {
    let server = TestServer::start_with(&["--push"]).await;
    let publishers = server.push.unwrap().0;
    let mut client = Client::connect(server.address, "/bus").await.unwrap();
    client.join("r").await;
    for (n, (kind, text)) in TEXTS.into_iter().enumerate() {
        let answer = post(server.address, "/bus-message/r", kind, text).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        assert_eq!(
            client.next().await["message"],
            json!({"text": "café"}),
            "{kind}"
        );

        // The same text inside a publisher's request.
        let is_wide = kind.ends_with("16");
        let ascii = format!(
            r#"{{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{{"channel":"c{n}","x":"#
        );
        let widen = |text: &str| match is_wide {
            true => text.bytes().flat_map(|byte| [byte, 0]).collect(),
            false => text.as_bytes().to_vec(),
        };
        let mark = [&b"\xef\xbb\xbf"[..], b"\xff\xfe"];
        let mark = mark.into_iter().find(|mark| text.starts_with(mark));
        let mark = mark.unwrap_or_default();
        let body = [mark, &widen(&ascii), &text[mark.len()..], &widen("}}")].concat();
        let answer = post(publishers, "/channel/create", kind, &body).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
    }
    let latin = TEXTS[2].1;
    for (to, target) in [
        (server.address, "/bus-message/r"),
        (publishers, "/channel/create"),
    ] {
        let answer = post(to, target, UNKNOWN, latin).await;
        assert_eq!(answer.status, 415, "{target}");
        assert!(
            answer.body.contains("is not known: send UTF-8"),
            "{}",
            answer.body
        );
        for kind in ["application/json", "text/plain; charset=utf-8"] {
            let answer = post(to, target, kind, latin).await;
            assert_eq!(answer.status, 400, "{target} {kind}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_backend_of_the_webhook_door_is_read_and_passed_on() {
    const ACCEPTS: &str = "\u{feff}{\"code\":\"OK\",\"send\":[\"é\"]}";
    for style in ["rest", "wsaas"] {
        let pair = Pair::start(&["--webhook-style", style]).await;
        pair.backend
            .does(|_| Does::Answers(200, ACCEPTS.to_owned()));
        let mut client = WebSocket::connect(pair.ws).await.unwrap();
        assert_eq!(client.content(style).await, "é");
        let id = &pair.backend.calls()[0].id;
        for (kind, text) in TEXTS {
            let head = format!(
                "PUT /{id} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                text.len()
            );
            let stream = TcpStream::connect(pair.rest).await.unwrap();
            let answer = ask(stream, [head.as_bytes(), text].concat()).await;
            assert_eq!(answer.status, 200, "{kind}");
            match style {
                // WSAAS passes the bytes on unchanged.
                "wsaas" => assert_eq!(client.next().await.into_data(), text, "{kind}"),
                _ => {
                    let text = client.content(style).await;
                    let json: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(json, json!({"text": "café"}), "{kind}");
                }
            }
        }
        let head = format!("Content-Type: {UNKNOWN}\r\n");
        let answer = rest(pair.rest, "PUT", &format!("/{id}"), &head, "x").await;
        let expected = if style == "rest" { 415 } else { 200 };
        assert_eq!(answer.status, expected);
        pair.server.stop().await;
    }
}

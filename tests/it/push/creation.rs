//! Who creates channels, by address and by key; how fast an address may ask; and
//! which pages are let in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::cors::upgrade;
use crate::http::{ask as request, header, post_with, posted};

const KEY: &str = "0123456789abcdef";
const RIGHT: &str = "Authorization: Bearer 0123456789abcdef\r\n";
const WRONG: &str = "Authorization: Bearer 0123456789abcdeF\r\n";

const NEEDED: &str = "to create a channel the key is needed, as `Authorization: Bearer KEY`";
const NOT_THE_KEY: &str = "this is not the key";
const UNNAMED_PROXY: &str = "without --push-key channels are created from private addresses only, \
    and this request came through a proxy that --trusted-proxy does not name";
const NOT_PRIVATE: &str = "without --push-key channels are created from private addresses only, and not by web pages: set --push-key to allow others";

const OTHER_HOST: &str = "this endpoint is for private addresses only and does not answer under this `Host`: use the server's IP address, or allow the name with --host-name";

/// Or the code and the details of the error.
type Created = Result<(), (u16, &'static str)>;

#[tokio::test]
async fn channels_are_created_with_the_key_or_from_nearby() {
    let with_key = &["--push-key", KEY][..];
    let behind = &["--trusted-proxy", "127.0.0.0/8"][..];
    // The server's options, and the request's headers -> what is wrong
    let cases: &[(&[&str], &str, Created)] = &[
        (&[], "", Ok(())),
        (
            &[],
            "X-Forwarded-For: 10.0.0.1\r\n",
            Err((403, UNNAMED_PROXY)),
        ),
        (&[], "X-Real-IP: 10.0.0.1\r\n", Err((403, UNNAMED_PROXY))),
        (
            &[],
            "Forwarded: for=10.0.0.1\r\n",
            Err((403, UNNAMED_PROXY)),
        ),
        (
            &[],
            "Origin: https://elsewhere.example\r\n",
            Err((403, NOT_PRIVATE)),
        ),
        (&[], "Origin: null\r\n", Err((403, NOT_PRIVATE))),
        // There is none to be right.
        (&[], RIGHT, Ok(())),
        // A trusted proxy that does not name its client.
        (behind, "", Err((403, NOT_PRIVATE))),
        (behind, "Forwarded: for=\"192.168.1.7:4711\"\r\n", Ok(())),
        (
            &["--host-name", "push.example"],
            "Host: push.example\r\n",
            Ok(()),
        ),
        (&[], "Host: push.example\r\n", Err((403, OTHER_HOST))),
        (behind, "X-Forwarded-For: 192.168.1.7\r\n", Ok(())),
        (
            behind,
            "X-Forwarded-For: 203.0.113.7, 10.0.0.1, 127.0.0.9\r\n",
            Err((403, NOT_PRIVATE)),
        ),
        (
            behind,
            "X-Forwarded-For: 10.0.0.2, 10.0.0.1, 127.0.0.9\r\n",
            Ok(()),
        ),
        (
            behind,
            "X-Forwarded-For: 10.0.0.1, 203.0.113.7\r\n",
            Err((403, NOT_PRIVATE)),
        ),
        (
            behind,
            "X-Forwarded-For: nonsense\r\n",
            Err((403, NOT_PRIVATE)),
        ),
        (with_key, "", Err((401, NEEDED))),
        (
            with_key,
            "Authorization: Basic eA==\r\n",
            Err((401, NEEDED)),
        ),
        (with_key, WRONG, Err((403, NOT_THE_KEY))),
        (with_key, "Authorization: Bearer \r\n", Err((401, NEEDED))),
        (with_key, RIGHT, Ok(())),
        (
            with_key,
            "authorization: bearer 0123456789abcdef\r\n",
            Ok(()),
        ),
        (
            with_key,
            "X-Forwarded-For: 203.0.113.7\r\nAuthorization: Bearer 0123456789abcdef\r\n",
            Ok(()),
        ),
    ];
    for (options, headers, expected) in cases {
        let server = TestServer::start_with(&[&["--push"], *options].concat()).await;
        let to = publishers(&server);
        let body = action("CREATE_CHANNEL", r#"{"channel":"c"}"#);
        let answer = post_with(to, "/channel/create", headers, &body).await;
        let ping = action("PING_CHANNEL", r#"{"channel":"c","channelToken":null}"#);
        let exists = publish(&server, "/channel/ping", ping).await;
        match expected {
            Ok(()) => {
                assert_eq!(answer.status, 200, "{options:?} {headers}: {}", answer.body);
                assert_eq!(exists.status, 401, "{}", exists.body);
            }
            Err((status, details)) => {
                let message = if *status == 401 {
                    "Unauthorized"
                } else {
                    "Forbidden"
                };
                let expected = error(*status, message, details);
                assert_eq!(answer.body, expected, "{options:?} {headers}");
                assert_eq!(answer.status, *status);
                assert_eq!(exists.status, 404, "{}", exists.body);
            }
        }
        server.stop().await;
    }
}

/// Whether a page is let in is the same at all ports, and no other list.
#[tokio::test]
async fn pages_that_are_not_let_in_neither_listen_nor_read_answers() {
    let listed = "https://radio.example";
    let server = TestServer::start_with(&["--push", "--cors-origin", listed]).await;
    let (http, ws) = server.push.unwrap();
    let ping = action("PING_CHANNEL", r#"{"channel":"c","channelToken":null}"#);
    let cases = [
        (listed, 101, Some(listed)),
        ("https://elsewhere.example", 403, None),
    ];
    for (page, status, reads) in cases {
        assert_eq!(upgrade(ws, "/", Some(page)).await, status, "{page}");
        let origin = format!("Origin: {page}\r\n");
        let answer = post_with(http, "/channel/ping", &origin, &ping).await;
        assert_eq!(answer.status, 404, "{}", answer.body);
        let may_read = header(&answer, "access-control-allow-origin");
        assert_eq!(may_read, reads, "{}", answer.head);
    }
    server.stop().await;
}

/// From another address of this machine.
async fn publish_from(from: &str, to: SocketAddr, target: &str, body: &str) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    request(socket.connect(to).await.unwrap(), posted(target, "", body)).await
}

#[tokio::test]
async fn who_asks_too_fast_holds_up_nobody_else() {
    let server = TestServer::start_with(&["--push", "--push-rate", "1"]).await;
    let to = publishers(&server);
    let token = create(&server, "c").await;
    let data = format!(r#"{{"channel":"c","channelToken":"{token}"}}"#);
    let ping = action("PING_CHANNEL", &data);
    let expected = error(
        429,
        "Too Many Requests",
        "too fast: 1 requests per second at most",
    );
    // As fast as one test can, so that it is too fast at some time.
    let flooded = async {
        loop {
            let answer = publish(&server, "/channel/ping", &ping).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let answer = timeout(SOON, flooded).await;
    let answer = answer.expect("it is never too fast");
    assert_eq!((answer.status, answer.body), (429, expected));
    let answer = publish_from("127.0.0.2", to, "/channel/ping", &ping).await;
    assert_eq!(answer.body, done("OK", "c", "null"));

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let answer = publish(&server, "/channel/ping", &ping).await;
    assert_eq!(answer.body, done("OK", "c", "null"));
    server.stop().await;
}

/// Those behind a proxy are told apart by what it says of them.
#[tokio::test]
async fn behind_a_proxy_each_address_has_its_own_pace() {
    let options = ["--push", "--push-rate", "1", "--trusted-proxy", "127.0.0.1"];
    let server = TestServer::start_with(&options).await;
    let ping = action("PING_CHANNEL", r#"{"channel":"c","channelToken":null}"#);
    for number in 0..20 {
        let headers = format!("X-Forwarded-For: 203.0.113.{number}\r\n");
        let answer = post_with(publishers(&server), "/channel/ping", &headers, &ping).await;
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
    server.stop().await;
}

/// Many libraries write the head first, and go on after the answer in any case.
#[tokio::test]
async fn who_is_refused_by_its_head_goes_on_on_the_same_connection() {
    let server = TestServer::start_with(&["--push", "--push-key", KEY]).await;
    let stream = TcpStream::connect(publishers(&server)).await.unwrap();
    let mut stream = BufStream::new(stream);
    let body = action("CREATE_CHANNEL", r#"{"channel":"c"}"#);
    for (target, expected) in [
        ("/channel/create", "HTTP/1.1 401"),
        ("/nowhere", "HTTP/1.1 404"),
        ("/js/pushserver.js", "HTTP/1.1 405"),
        ("/channel/create", "HTTP/1.1 401"),
    ] {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        for part in [&head, &body] {
            stream.write_all(part.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut line = String::new();
        timeout(SOON, stream.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        assert!(line.starts_with(expected), "{target}: {line}");
        let mut left = 0;
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            if let Some(length) = line.strip_prefix("content-length: ") {
                left = length.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        stream.read_exact(&mut vec![0; left]).await.unwrap();
    }
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn with_the_key_a_channel_is_deleted_whose_token_is_lost() {
    let server = TestServer::start_with(&["--push", "--push-key", KEY]).await;
    let to = publishers(&server);
    let body = action("CREATE_CHANNEL", r#"{"channel":"c"}"#);
    assert_eq!(
        post_with(to, "/channel/create", RIGHT, &body).await.status,
        200
    );
    let body = action("DELETE_CHANNEL", r#"{"channel":"c","channelToken":null}"#);
    for (headers, status) in [("", 403), (WRONG, 403), (RIGHT, 200), (RIGHT, 404)] {
        let answer = post_with(to, "/channel/delete", headers, &body).await;
        assert_eq!(answer.status, status, "{headers}: {}", answer.body);
    }
    server.stop().await;
}

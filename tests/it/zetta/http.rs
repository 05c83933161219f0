//! Lines 25 to 27: HTTP and other protocols on the Zetta port.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Port, REAL, at, song};
use crate::client::SOON;
use crate::http::{Answer, ask, header};

/// Sends a request as the only one of its connection.
async fn answer(port: &Port, request: impl AsRef<[u8]>) -> Answer {
    ask(port.connect().await, request).await
}

/// A request with this body and its length.
fn request(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "{head}\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads from an open connection until this text arrives.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let byte = timeout(SOON, stream.read_u8()).await;
        let shown = String::from_utf8_lossy(&read).into_owned();
        read.push(byte.expect(&shown).expect(&shown));
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn line_25_other_protocols_are_closed() {
    for sent in [
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let mut port = Port::open().await;
        assert_eq!(answer(&port, sent).await.head, "");
        port.hears("", &[]).await;
        port.complained("intruder", 1);
    }
}

#[tokio::test]
async fn line_25_other_requests_are_refused_and_closed() {
    for line in [
        "GET / HTTP/1.1",
        "GET / HTTP/1.0",
        "HEAD / HTTP/1.1",
        "DELETE / HTTP/1.1",
        "PATCH / HTTP/1.1",
        "CONNECT x:443 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PROPFIND / HTTP/1.1",
    ] {
        let mut port = Port::open().await;
        let answer = answer(&port, format!("{line}\r\nHost: x\r\n\r\n")).await;
        assert_eq!(answer.status, 405, "{line}");
        assert_eq!(header(&answer, "allow"), Some("POST, PUT"));
        let says = !line.starts_with("HEAD");
        assert_eq!(answer.body.contains("ZettaLite"), says, "{line}");
        port.hears("", &[]).await;
        port.complained("intruder", 1);
    }
}

#[tokio::test]
async fn line_25_what_is_no_http_after_all_is_refused() {
    for sent in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nno header\r\n\r\n",
    ] {
        let mut port = Port::open().await;
        let answer = answer(&port, sent).await;
        assert!(!answer.head.contains(" 200 "), "{}", answer.head);
        port.hears("", &[]).await;
        port.complained("intruder", 1);
    }
}

#[tokio::test]
async fn line_26_posted_documents_are_published() {
    let body = song(1, &at(0), "Café");
    let chunked = |head: &str, size: usize| {
        let chunks = body.as_bytes().chunks(size);
        let chunks = chunks.flat_map(|chunk| {
            let size = format!("{:x}\r\n", chunk.len());
            [size.as_bytes(), chunk, b"\r\n"].concat()
        });
        let head = format!("{head}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let head = head.into_bytes().into_iter();
        head.chain(chunks).chain(*b"0\r\n\r\n").collect::<Vec<u8>>()
    };
    let narrow: Vec<u8> = body.chars().map(|c| c as u8).collect();
    let wide = |big: bool| -> Vec<u8> {
        let units = body.encode_utf16();
        let bytes = units.map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        });
        bytes.flatten().collect()
    };
    let cyrillic = song(1, &at(0), "Кафе");
    let (cyrillic, ..) = encoding_rs::KOI8_R.encode(&cyrillic);
    let kind =
        |charset: &str| format!("POST / HTTP/1.1\r\nContent-Type: text/xml; charset={charset}");
    for (sent, title) in [
        (request("POST /x HTTP/1.1", &body), "Café"),
        (request("PUT /x HTTP/1.1", &body), "Café"),
        (request("POST / HTTP/1.0", &body), "Café"),
        (chunked("POST / HTTP/1.1", 5_000), "Café"),
        (chunked("PUT / HTTP/1.1", 7), "Café"),
        (
            request("POST / HTTP/1.1", format!("free text {body} more")),
            "Café",
        ),
        (request("POST / HTTP/1.1", wide(false)), "Café"),
        (request(&kind("utf-16"), wide(true)), "Café"),
        (request(&kind("ISO-8859-1"), &narrow), "Café"),
        (request(&kind("utf-8"), &narrow), "Café"),
        (request(&kind("\"koi8-r\""), &cyrillic), "Кафе"),
        // The bytes win.
        (request(&kind("koi8-r"), &body), "Café"),
        (request(&kind("klingon"), &body), "Café"),
    ] {
        // A body that ends with the connection, and one that comes byte by byte.
        for piece in [sent.len(), 1] {
            let mut port = Port::open().await;
            let mut sender = port.connect().await;
            for piece in sent.chunks(piece) {
                sender.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let answer = read_until(&mut sender, "\r\n\r\nOK").await;
            assert!(answer.contains(" 200 OK\r\n"), "{answer}");
            assert_eq!(port.track().await, title);
            port.did_not_complain();
        }
    }
}

#[tokio::test]
async fn line_26_a_body_is_asked_for_at_once() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    for (number, title) in [(1, "A"), (2, "B")] {
        let body = song(number, &at(number * 30), title);
        let sent = request("PUT / HTTP/1.1\r\nExpect: 100-continue", &body);
        let (head, body) = sent.split_at(sent.len() - body.len());
        sender.write_all(head).await.unwrap();
        let answer = read_until(&mut sender, "\r\n\r\n").await;
        assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
        sender.write_all(body).await.unwrap();
        read_until(&mut sender, "\r\n\r\nOK").await;
        assert_eq!(port.track().await, title);
    }
    // The server does not ask for a body that it would refuse.
    let large = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
    assert_eq!(answer(&port, large).await.status, 413);
    port.complained("too_large", 1);
}

#[tokio::test]
async fn line_26_a_connection_carries_a_bounded_number_of_documents() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let sent = request("POST / HTTP/1.1", song(1, &at(0), "A"));
    for number in 1..=1_000 {
        sender.write_all(&sent).await.unwrap();
        let answer = read_until(&mut sender, "\r\n\r\nOK").await;
        assert_eq!(answer.contains("connection: close"), number == 1_000);
    }
    assert_eq!(sender.read(&mut [0]).await.unwrap(), 0);
    port.hears("", &["A"]).await;
    port.did_not_complain();
}

#[tokio::test]
async fn line_26_what_is_not_understood_is_refused_with_the_reason() {
    let clipboard =
        r#"<?xml version="1.0"?><ZettaClipboard><Event Title="D:\Studio\x.wav"/></ZettaClipboard>"#;
    let form = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let gzip = "POST / HTTP/1.1\r\nContent-Encoding: gzip";
    let plain = "POST / HTTP/1.1";
    for (head, body, reason, counted) in [
        (plain, "", "the body is empty", "no_document"),
        (plain, " \r\n", "the body is empty", "no_document"),
        (form, "title=A&artist=B", "a form", "no_document"),
        (plain, r#"{"track":"A"}"#, "JSON", "no_document"),
        (gzip, "\u{1f}x", "compressed", "no_document"),
        (plain, "on air: A", "ZettaLite", "no_document"),
        (
            plain,
            clipboard,
            "format of this Live Metadata output to ZettaLite",
            "other_format",
        ),
        (
            plain,
            "<nowplaying/>",
            "format of this Live Metadata output to ZettaLite",
            "other_format",
        ),
        (plain, "<ZettaLite><x>", "no end", "unfinished"),
        (
            plain,
            "<ZettaLite><D:Studio></ZettaLite>",
            "not well-formed",
            "unreadable",
        ),
        ("PUT / HTTP/1.1", "", "the body is empty", "no_document"),
    ] {
        let mut port = Port::open().await;
        let answer = answer(&port, request(head, body)).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert!(answer.body.contains(reason), "{body}: {}", answer.body);
        assert!(!answer.body.contains("Studio"), "{}", answer.body);
        port.hears("", &[]).await;
        port.complained(counted, 1);
    }
}

#[tokio::test]
async fn line_26_pages_and_large_bodies_are_refused() {
    let from_a_page = "POST / HTTP/1.1\r\nOrigin: https://example.com";
    let large = format!("{}{}", song(1, &at(0), "A"), " ".repeat(5 << 20));
    let endless = format!("<ZettaLite>{}", "x".repeat(1 << 20));
    for (head, body, status, counted) in [
        (from_a_page, song(1, &at(0), "Forged"), 403, "intruder"),
        ("POST / HTTP/1.1", large, 413, "too_large"),
        ("POST / HTTP/1.1", endless, 413, "too_large"),
    ] {
        let mut port = Port::open().await;
        assert_eq!(answer(&port, request(head, body)).await.status, status);
        port.hears("", &[]).await;
        port.complained(counted, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn line_26_a_request_that_never_ends_is_given_up() {
    let endless = [
        ("POST / HTTP/1.1\r\nX: ".to_owned(), ""),
        (
            "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n".to_owned(),
            "HTTP/1.1 408 ",
        ),
        (
            format!(
                "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n{}\r\n",
                &REAL[..200]
            ),
            "HTTP/1.1 408 ",
        ),
    ];
    for (sent, expected) in endless {
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        sender.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let minute = Duration::from_secs(60);
        timeout(minute, sender.read_to_string(&mut answer))
            .await
            .expect("not closed")
            .unwrap();
        assert!(answer.starts_with(expected), "{answer}");
        port.hears("", &[]).await;
        port.complained("slow", 1);
    }
}

#[tokio::test]
async fn free_text_that_begins_like_a_request_hides_no_document() {
    let mut port = Port::open().await;
    let sent = format!("POST MALONE - Circles {}", song(1, &at(0), "Circles"));
    port.hears(sent, &["Circles"]).await;
    port.did_not_complain();
}

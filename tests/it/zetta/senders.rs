//! Lines 25 to 30: who connects, how often, how slowly.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Port, REAL, at, song};
use crate::client::SOON;

/// Some dozens of lines are no flood, also where the test takes half a minute.
const LINES_MOST: usize = 100;

/// Writes, and reads all of the answer until the port closes.
async fn answer(port: &Port, sent: &[u8]) -> String {
    let mut intruder = port.connect().await;
    intruder.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A reset is a close as well.
    let _ = timeout(SOON, intruder.read_to_end(&mut answer))
        .await
        .expect("not closed");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn line_25_other_protocols_are_closed() {
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"DELETE / HTTP/1.1\r\n\r\n",
        b"PATCH / HTTP/1.1\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\n\r\n",
        b"TRACE / HTTP/1.1\r\n\r\n",
    ] {
        let mut port = Port::open().await;
        assert_eq!(answer(&port, sent).await, "");
        port.hears("", &[]).await;
        port.complained("intruder", 1);
    }
}

#[tokio::test]
async fn line_26_a_post_is_heard_and_answered() {
    let post = |title: &str, extra: &str| {
        let body = song(1, &at(0), title);
        let length = body.len();
        format!("POST /x HTTP/1.1\r\nHost: x\r\n{extra}Content-Length: {length}\r\n\r\n{body}")
    };
    let mut port = Port::open().await;
    let answered = answer(&port, post("Posted", "").as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    assert_eq!(port.track().await, "Posted");
    port.did_not_complain();
    let from_a_page = post("Forged", "Origin: https://example.com\r\n");
    let answered = answer(&port, from_a_page.as_bytes()).await;
    assert!(answered.starts_with("HTTP/1.1 403 "), "{answered}");
    port.hears("", &[]).await;
    port.complained("intruder", 1);
}

#[tokio::test(start_paused = true)]
async fn line_26_a_post_that_never_ends_is_given_up() {
    let endless = [
        "POST / HTTP/1.1\r\nX: ".to_owned(),
        "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n".to_owned(),
        format!(
            "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n{}",
            &REAL[..200]
        ),
    ];
    for sent in endless {
        let mut port = Port::open().await;
        let mut sender = port.connect().await;
        sender.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let minute = Duration::from_secs(60);
        timeout(minute, sender.read_to_string(&mut answer))
            .await
            .expect("not closed")
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        port.hears("", &[]).await;
        port.complained("slow", 1);
    }
}

#[tokio::test]
async fn line_27_another_format_is_named() {
    let clipboard = r#"<?xml version="1.0"?><ZettaClipboard><Event Title="X"/></ZettaClipboard>"#;
    let mut port = Port::open().await;
    port.hears(clipboard.repeat(3), &[]).await;
    port.complained("other_format", 1);
}

#[tokio::test]
async fn line_28_a_thousand_reconnects_and_a_flood() {
    let mut port = Port::open().await;
    for _ in 0..1_000 {
        let mut sender = port.connect().await;
        sender
            .write_all(song(1, &at(0), "A").as_bytes())
            .await
            .unwrap();
        sender.shutdown().await.unwrap();
        let _ = sender.read(&mut [0; 1]).await;
    }
    assert_eq!(port.track().await, "A");
    port.hears(song(1, &at(0), "A").repeat(5_000), &[]).await;
    // Each is another item, and published.
    let mut sender = port.connect().await;
    for number in 0..5_000 {
        let title = format!("T{number}");
        let text = song(10_000 + number, "", &title);
        sender.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(port.track().await, title);
    }
    assert!(port.logged.told() < LINES_MOST, "{}", port.logged.told());
    port.did_not_complain();
}

#[tokio::test(start_paused = true)]
async fn line_28_a_slow_document_is_given_up() {
    let mut port = Port::open().await;
    let mut slow = port.connect().await;
    let (begun, rest) = REAL.split_at(20 + REAL.find("<ZettaLite").unwrap());
    for byte in begun.as_bytes() {
        slow.write_all(&[*byte]).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    slow.write_all(rest.as_bytes()).await.unwrap();
    slow.write_all(song(1, &at(0), "A").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "A");
    assert_eq!(port.rejected()["slow"], 1);
}

#[tokio::test(start_paused = true)]
async fn line_28_what_a_slow_document_hid_is_taken_once() {
    let mut port = Port::open().await;
    let mut slow = port.connect().await;
    let hidden = format!("<ZettaLite><!-- {}", song(1, &at(0), "A"));
    slow.write_all(hidden.as_bytes()).await.unwrap();
    let minute = Duration::from_secs(60);
    let (_, a) = timeout(minute, port.published.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(a["track"], "A");
    slow.write_all(song(2, &at(60), "B").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "B");
    let counted = port.counted.render();
    assert!(
        counted.contains("roomcast_zetta_documents_total 2"),
        "{counted}"
    );
}

#[tokio::test]
async fn line_28_more_senders_than_can_be_are_refused() {
    let mut port = Port::open().await;
    let mut senders = Vec::new();
    while port.rejected().is_empty() {
        senders.push(port.connect().await);
        tokio::task::yield_now().await;
    }
    senders.truncate(senders.len() / 2);
    port.complained("connections", port.rejected()["connections"]);
    port.hears("", &[]).await;
}

#[tokio::test]
async fn line_29_two_senders_are_one_feed() {
    let mut port = Port::open().await;
    let (mut main, mut spare) = (port.connect().await, port.connect().await);
    let a = song(1, &at(0), "A");
    main.write_all(a.as_bytes()).await.unwrap();
    spare.write_all(a.as_bytes()).await.unwrap();
    // The spare's clock is some seconds off.
    let off = song(1, &at(7), "A");
    spare.write_all(off.as_bytes()).await.unwrap();
    assert_eq!(port.track().await, "A");
    let mut again = port.connect().await;
    again.write_all(a.as_bytes()).await.unwrap();
    port.hears(a, &[]).await;
    port.did_not_complain();
}

#[tokio::test(start_paused = true)]
async fn line_30_silence_ends_nothing() {
    const HALF_A_DAY: Duration = Duration::from_secs(12 * 3600);
    let mut port = Port::open().await;
    let (mut sender, half_open) = (port.connect().await, port.connect().await);
    sender
        .write_all(song(1, &at(0), "A").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "A");
    tokio::time::advance(HALF_A_DAY).await;
    assert!(port.feed.last_document_age().unwrap() >= HALF_A_DAY);
    assert_eq!(port.feed.connections(), 2);
    sender
        .write_all(song(2, &at(60), "B").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "B");
    port.hears("", &[]).await;
    drop(half_open);
    port.did_not_complain();
}

//! Lines 27 to 30 and 33: senders, how often they connect, how slow they are.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Port, REAL, at, song};
use crate::client::SOON;

/// Some dozens of lines are no flood, also where the test takes half a minute.
const LINES_MOST: usize = 100;

/// The time of so many seconds ago.
fn ago(seconds: i64) -> String {
    let time = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds);
    time.to_rfc3339()
}

#[tokio::test]
async fn line_27_another_format_is_named() {
    let clipboard = r#"<?xml version="1.0"?><ZettaClipboard><Event Title="X"/></ZettaClipboard>"#;
    let mut port = Port::open().await;
    port.hears(clipboard.repeat(3), &[]).await;
    port.complained("other_format", 1);
}

/// A sender that stays: nobody looks for what is wrong in the log when it goes.
#[tokio::test(start_paused = true)]
async fn line_27_a_format_without_markup_is_named_while_the_sender_is_connected() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    for round in 0.. {
        sender.write_all(b"{\"track\":\"A\"}\r\n").await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        if port.logged.warned() > 0 {
            break;
        }
        assert!(round < 100_000, "nothing is logged");
    }
    port.complained("no_document", 1);
    sender
        .write_all(song(1, &at(0), "A").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "A");
    drop(sender);
    port.hears("", &[]).await;
    port.complained("no_document", 1);
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

/// Connects from an address of this machine.
async fn connect_from(port: &Port, address: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let address = Ipv4Addr::new(127, 0, 0, address);
    socket.bind((address, 0).into()).unwrap();
    socket.connect(port.address).await.unwrap()
}

#[tokio::test]
async fn line_33_silent_connections_do_not_lock_the_studio_out() {
    // How many silent connections each of so many addresses opens; the studio is the first one.
    for (addresses, each) in [(1, 70), (5, 14), (5, 16), (70, 1)] {
        let mut port = Port::open().await;
        let mut silent = Vec::new();
        let mut opened = 0;
        let mut open = async |port: &Port| {
            for number in 0..addresses * each {
                silent.push(connect_from(port, 1 + number % addresses).await);
                opened += 1;
            }
        };
        open(&port).await;
        let mut studio = connect_from(&port, 1).await;
        studio
            .write_all(song(1, &at(0), "A").as_bytes())
            .await
            .unwrap();
        assert_eq!(port.track().await, "A", "{addresses} addresses");
        // A studio that has sent a document keeps its connection.
        open(&port).await;
        let mut spare = connect_from(&port, 2).await;
        spare
            .write_all(song(2, &at(60), "B").as_bytes())
            .await
            .unwrap();
        assert_eq!(port.track().await, "B", "{addresses} addresses");
        studio
            .write_all(song(3, &at(120), "C").as_bytes())
            .await
            .unwrap();
        assert_eq!(port.track().await, "C", "{addresses} addresses");
        port.complained("idle", port.rejected()["idle"]);
        assert!(opened > 64, "{opened} connections");
    }
}

#[tokio::test]
async fn line_28_an_address_has_sixteen_connections() {
    let mut port = Port::open().await;
    let mut senders = Vec::new();
    for number in 0..16 {
        let mut sender = connect_from(&port, 1).await;
        let title = format!("T{number}");
        let text = song(number, &at(number), &title);
        sender.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(port.track().await, title);
        senders.push(sender);
    }
    let mut refused = connect_from(&port, 1).await;
    let closed = timeout(SOON, refused.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    port.complained("connections", 1);
    let mut other = connect_from(&port, 2).await;
    other
        .write_all(song(20, &at(20), "Other").as_bytes())
        .await
        .unwrap();
    assert_eq!(port.track().await, "Other");
    // Connections that have ended make room.
    senders.truncate(14);
    while port.feed.connections() > 15 {
        tokio::task::yield_now().await;
    }
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

/// The clock of the spare is wrong; the main machine dies, and comes back.
#[tokio::test]
async fn line_29_a_spare_with_another_clock_takes_over() {
    for skew in [-300, 300, -7 * 3_600, 7 * 3_600, 9] {
        let mut port = Port::open().await;
        let by_main = |n: u32| song(n, &ago(0), &format!("T{n}"));
        let by_spare = |n: u32| song(n, &ago(-skew), &format!("T{n}"));
        let mut main = port.connect().await;
        let mut spare = port.connect().await;
        for n in 1..=4 {
            main.write_all(by_main(n).as_bytes()).await.unwrap();
            assert_eq!(port.track().await, format!("T{n}"), "{skew}");
            let late = by_spare(n - 1) + &by_spare(n).repeat(2);
            let late = if n == 1 { by_spare(n) } else { late };
            spare.write_all(late.as_bytes()).await.unwrap();
        }
        drop(main);
        for n in 5..=8 {
            let repeated = by_spare(n).repeat(3);
            spare.write_all(repeated.as_bytes()).await.unwrap();
            assert_eq!(port.track().await, format!("T{n}"), "{skew}");
        }
        let mut main = port.connect().await;
        let back = by_main(8) + &by_main(9);
        main.write_all(back.as_bytes()).await.unwrap();
        assert_eq!(port.track().await, "T9", "{skew}");
        let is_off = skew.abs() > 120;
        let shown = port.feed.skews();
        let off = shown.iter().filter(|shown| shown.abs() > 120.0);
        assert_eq!(off.count(), usize::from(is_off), "{shown:?}");
        assert_eq!(port.logged.skewed(), usize::from(is_off), "{skew}");
        port.did_not_complain();
    }
}

/// An item that cuts into a song for three seconds.
#[tokio::test(start_paused = true)]
async fn a_short_item_hides_a_song_for_its_own_length_only() {
    let mut port = Port::open().await;
    let mut sender = port.connect().await;
    let long = song(1, &at(0), "Song");
    let short = song(0, "", "Short").replace(r#""200""#, r#""3""#);
    for sent in [&long, &short] {
        sender.write_all(sent.as_bytes()).await.unwrap();
        port.track().await;
    }
    tokio::time::advance(Duration::from_secs(4)).await;
    sender.write_all(long.as_bytes()).await.unwrap();
    let (_, track) = port.next().await;
    assert_eq!(track["track"], "Song");
    assert_eq!(track["timestampUTC"], at(0), "its old start");
    port.hears(long, &[]).await;
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

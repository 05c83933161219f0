//! Clients on slow links: while output waits for a client, the write deadline decides whether it
//! is gone, not its answers to pings.

use std::time::Duration;

use bytes::BytesMut;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{Client, SOON};
use crate::hostile::peer::text;
use crate::http::get;
use crate::server::TestServer;

/// Messages of 60 KB: far more than the systems at both ends hold, and less than may wait.
const MESSAGES: usize = 20;
const MESSAGE: usize = 60_000;

/// How many bytes a slow client reads in one [`STEP`].
const SLOWLY: usize = 50_000;

/// More than the interval of any ping, and less than half of the write deadline.
const STEP: Duration = Duration::from_secs(26);

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request, the frames that follow its answer, and the text that shows that the client is in the
/// room.
const DOORS: [(&str, &str, &[&str], &str); 3] = [
    ("/api/?target=bus&room=r", UPGRADE, &[], "\r\n\r\n"),
    ("/events/bus/r", "", &[], "event: joined"),
    (
        "/socket.io/?EIO=4&transport=websocket",
        UPGRADE,
        &["40/bus,", r#"42/bus,0["JOIN",{"room":"r","name":"anna"}]"#],
        r#"43/bus,0[{"status":"ok""#,
    ),
];

struct Slow {
    stream: TcpStream,
    read: BytesMut,
}

impl Slow {
    async fn open(server: &TestServer, door: usize) -> Self {
        let (target, headers, packets, joined) = DOORS[door];
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut stream = socket.connect(server.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut slow = Self {
            stream,
            read: BytesMut::new(),
        };
        slow.until(|read| count(read, "\r\n\r\n") > 0).await;
        for packet in packets {
            slow.stream.write_all(&text(packet)).await.unwrap();
        }
        slow.until(|read| count(read, joined) > 0).await;
        if !packets.is_empty() {
            // Engine.IO ignores an answer that comes before its first ping.
            let ping = b"\x81\x012";
            slow.until(|read| read.windows(ping.len()).any(|frame| frame == ping))
                .await;
            let clients = r#"42/bus,9["CLIENTS",{"room":"r"}]"#;
            for packet in ["3", clients] {
                slow.stream.write_all(&text(packet)).await.unwrap();
            }
            slow.until(|read| count(read, "43/bus,9") > 0).await;
        }
        let mut other = Client::connect(server.address, "/bus").await.unwrap();
        while other.ask("CLIENTS", json!({"room": "r"})).await["total"] != 1 {}
        slow
    }

    async fn until(&mut self, done: impl Fn(&[u8]) -> bool) {
        while !done(&self.read) {
            let read = timeout(SOON, self.stream.read_buf(&mut self.read)).await;
            assert!(read.expect("nothing came").unwrap() > 0, "closed");
        }
    }
}

fn count(read: &[u8], words: &str) -> usize {
    String::from_utf8_lossy(read).matches(words).count()
}

/// Advances the server's clock.
async fn step(server: &TestServer) {
    tokio::time::pause();
    tokio::time::advance(STEP).await;
    tokio::time::resume();
    assert_eq!(get(server.address, "/health", "").await.status, 200);
}

fn publish(server: &TestServer) {
    for _ in 0..MESSAGES {
        server.publish("/bus", "r", json!("x".repeat(MESSAGE)));
    }
}

#[tokio::test]
async fn a_client_that_reads_all_the_time_stays_however_slow_its_link_is() {
    for (door, (target, ..)) in DOORS.iter().enumerate() {
        let server = TestServer::start().await;
        let mut slow = Slow::open(&server, door).await;
        publish(&server);
        for round in 1..=6 {
            step(&server).await;
            slow.until(|read| read.len() > round * SLOWLY).await;
            assert_eq!(server.hub.client_count(), 1, "{target}, round {round}");
        }
        // `time` is the last field of an event; this is that of the last event.
        slow.until(|read| {
            read.len() > MESSAGES * MESSAGE && count(&read[read.len() - 200..], "\"time\":") > 0
        })
        .await;
        assert_eq!(
            count(&slow.read, r#""sender":"POST""#),
            MESSAGES,
            "{target}"
        );
        drop(slow);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_by_the_write_deadline() {
    for (door, (target, ..)) in DOORS.iter().enumerate() {
        let server = TestServer::start().await;
        let slow = Slow::open(&server, door).await;
        publish(&server);
        for _ in 0..3 {
            step(&server).await;
        }
        let gone = async {
            while server.hub.client_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, gone).await.expect(target);
        drop(slow);
        server.stop().await;
    }
}

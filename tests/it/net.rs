//! The network layer over real sockets: limits, deadlines, upgrades, shutdown.

#[path = "net/engine.rs"]
mod engine;
#[path = "net/served.rs"]
mod served;
#[path = "net/tls.rs"]
pub mod tls;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use roomcast::net::{
    Limits, Message as Inbound, MessageRule, Next, ProtocolError, Verdict, frame::Frame,
};
use served::{Served, ask, long, read_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const SHORT: Duration = Duration::from_millis(100);

fn limits() -> Limits {
    Limits::default()
}

#[tokio::test]
async fn requests_are_answered_and_know_their_peer() {
    let served = Served::new(limits(), None);
    let mut client = served.connect().await;
    let ours = client.local_addr().unwrap();
    let answer = ask(&mut client, "GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with(&ours.to_string()), "{answer}");
    // The same connection serves the next one, also with a body.
    let post = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    let answer = ask(&mut client, post).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_gets_503_and_the_next_gets_in() {
    let served = Served::new(
        Limits {
            connections: 1,
            ..limits()
        },
        None,
    );
    let mut first = served.connect().await;
    ask(&mut first, "GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(served.connections.open(), 1);
    let mut second = served.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = read_all(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("right now.\n"), "{answer}");
    drop((first, second));
    long(served.connections.wait_closed()).await;
    let mut third = served.connect().await;
    let answer = ask(&mut third, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let served = Served::new(
        Limits {
            header: SHORT,
            ..limits()
        },
        None,
    );
    let mut client = served.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    read_all(&mut client).await;
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_by_the_write_deadline() {
    let served = Served::new(
        Limits {
            write: SHORT,
            ..limits()
        },
        None,
    );
    let mut client = served.connect().await;
    client
        .write_all(b"GET /endless HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    // An answer has begun; nothing more is taken.
    client.read_u8().await.unwrap();
    long(served.connections.wait_closed()).await;
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_leaves_upgraded_ones() {
    let mut served = Served::new(limits(), None);
    let mut idle = served.connect().await;
    ask(&mut idle, "GET / HTTP/1.1\r\n\r\n").await;
    let mut silent = served.connect().await;
    let mut websocket = served.connect().await;
    websocket.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut upgraded = served.upgraded().await;

    served.stop().await;
    assert_eq!(read_all(&mut idle).await, "");
    assert_eq!(read_all(&mut silent).await, "");
    upgraded.websocket.send("still".into()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with("still") {
        text.push(char::from(websocket.read_u8().await.unwrap()));
    }
    assert_eq!(served.connections.open(), 1);
    assert_eq!(served.connections.kill_all(), 1);
    assert_eq!(served.connections.kill_all(), 0);
    assert!(upgraded.websocket.next().await.unwrap().is_err());
    drop(upgraded);
    long(served.connections.wait_closed()).await;
    assert_eq!(served.connections.open(), 0);
}

#[tokio::test]
async fn a_killed_request_ends() {
    let mut served = Served::new(limits(), None);
    let mut client = served.connect().await;
    client
        .write_all(b"GET /endless HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    served.endless().await;
    assert_eq!(served.connections.kill_all(), 1);
    long(served.connections.wait_closed()).await;
}

const UPGRADE: &str = "GET /websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The rule of a Socket.IO door, in short.
pub struct Connect;

impl MessageRule for Connect {
    fn message_most(&self) -> usize {
        1024
    }

    fn inbound(&mut self, message: Inbound) -> Verdict {
        let connects = matches!(&message, Inbound::Text(text) if text.starts_with("40"));
        let next = if connects { Next::Wait } else { Next::Read };
        Verdict::Pass(message, next)
    }

    fn violated(&mut self, _: &ProtocolError) {}

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        match frame.start.starts_with(b"40") {
            true => Next::Read,
            false => Next::Wait,
        }
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mask = [9, 8, 7, 6];
    let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    bytes.extend(mask);
    bytes.extend(
        text.bytes()
            .zip(mask.into_iter().cycle())
            .map(|(a, b)| a ^ b),
    );
    bytes
}

async fn frames_in_one_write(mut served: Served, mut client: impl AsyncWriteExt + Unpin) {
    let mut all = UPGRADE.as_bytes().to_vec();
    all.extend(frame("40/metadata,"));
    all.extend(frame("42/metadata,[\"JOIN\"]"));
    client.write_all(&all).await.unwrap();
    client.flush().await.unwrap();

    let mut upgraded = served.upgraded().await;
    let websocket = &mut upgraded.websocket;
    let first = long(websocket.next()).await.unwrap().unwrap();
    assert_eq!(first, Message::text("40/metadata,"));
    for _ in 0..100 {
        assert!(futures_util::poll!(websocket.next()).is_pending());
        tokio::task::yield_now().await;
    }
    websocket.send("40/metadata,{}".into()).await.unwrap();
    let second = long(websocket.next()).await.unwrap().unwrap();
    assert_eq!(second, Message::text("42/metadata,[\"JOIN\"]"));
}

#[tokio::test]
async fn frames_behind_the_upgrade_request_wait_for_the_answer() {
    let served = Served::new(limits(), None);
    let client = served.connect().await;
    frames_in_one_write(served, client).await;
}

#[tokio::test]
async fn frames_behind_the_upgrade_request_wait_for_the_answer_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let acceptor = tls::self_signed(dir.path());
    let served = Served::new(limits(), Some(acceptor));
    let client = tls::connect(&served, dir.path(), tls::BOTH).await.unwrap();
    frames_in_one_write(served, client).await;
}

#[tokio::test]
async fn a_refused_upgrade_leaves_the_connection_in_use() {
    let served = Served::new(limits(), None);
    let mut client = served.connect().await;
    let refused = UPGRADE.replace("/websocket", "/peer");
    let answer = ask(&mut client, &format!("{refused}{refused}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let mut second = String::new();
    while !second.contains("127.0.0.1") {
        second.push(char::from(long(client.read_u8()).await.unwrap()));
    }
}

/// Runs the test below in a process that may open few files.
#[cfg(target_os = "linux")]
/// Set in the process that has few descriptors.
const FEW: &str = "ROOMCAST_TEST_FEW_DESCRIPTORS";

/// Runs itself in a process of its own: the others need their descriptors.
#[test]
fn running_out_of_descriptors_is_survived() {
    if std::env::var_os(FEW).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(run_out_of_descriptors());
    }
    let out = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["net::running_out_of_descriptors_is_survived", "--exact"])
        .env(FEW, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

async fn run_out_of_descriptors() {
    let mut log = served::log();
    let served = Served::new(limits(), None);
    let mut hogs = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hogs.push(file);
    }
    hogs.pop();
    let mut client = TcpStream::connect(served.addr).await.unwrap();
    let line = long(log.recv()).await.unwrap();
    assert!(line.contains("cannot accept connections"), "{line}");
    drop(hogs);
    let answer = ask(&mut client, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(log.try_recv().is_err(), "one line for the burst");
}

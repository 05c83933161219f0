//! Tests of the stream over real sockets.

use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::socket::Kill;
use crate::net::{Connections, MessageRule, Next, Verdict, frame::Frame};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// A stream and the peer of its socket.
async fn pair(connections: &Connections, write: Duration, hold: Duration) -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(peer, listener.accept());
    let socket = connections.admit(accepted.unwrap().0, write);
    let memory = LargeMemory::new(1 << 20);
    (Stream::new(socket, hold, memory), peer.unwrap())
}

/// Writes until the peer's buffers are full.
async fn fill(stream: &mut Stream) {
    let bytes = [0; 64 * 1024];
    poll_fn(|cx| {
        while let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(cx, &bytes) {
            written.unwrap();
        }
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_at_the_deadline() {
    let connections = Connections::new();
    let (mut stream, _peer) = pair(&connections, SHORT, LONG).await;
    let error = async {
        loop {
            if let Err(error) = stream.write_all(&[0; 64 * 1024]).await {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(LONG, error).await.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
}

#[tokio::test]
async fn a_peer_that_takes_a_little_is_not_cut() {
    let connections = Connections::new();
    let (mut stream, mut peer) = pair(&connections, LONG, LONG).await;
    fill(&mut stream).await;
    let reader = tokio::spawn(async move {
        let mut bytes = vec![0; 1 << 20];
        while peer.read(&mut bytes).await.unwrap() > 0 {}
    });
    stream.write_all(&[0; 1 << 20]).await.unwrap();
    drop(stream);
    reader.await.unwrap();
}

#[tokio::test]
async fn the_kill_switch_frees_a_blocked_writer_and_its_reader() {
    let connections = Connections::new();
    let (mut stream, _peer) = pair(&connections, LONG, LONG).await;
    fill(&mut stream).await;
    let kill = Kill::of(stream.socket());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let blocked = tokio::spawn(async move { writer.write_all(b"more").await });
    let waiting = tokio::spawn(async move { reader.read_u8().await });
    tokio::task::yield_now().await;
    assert!(kill.is_open());
    assert!(kill.kill());
    assert!(!kill.kill(), "once is all it takes");
    assert!(!kill.is_open());
    for error in [
        blocked.await.unwrap().unwrap_err(),
        waiting.await.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
    }
    connections.wait_closed().await;
    assert_eq!(connections.open(), 0);
    assert!(!kill.kill());
}

struct Always;

impl MessageRule for Always {
    fn message_most(&self) -> usize {
        1 << 20
    }

    fn inbound(&mut self, message: Message) -> Verdict {
        Verdict::Pass(message, Next::Wait)
    }

    fn violated(&mut self, _: &ProtocolError) {}

    fn outbound(&mut self, _: Frame<'_>) -> Next {
        Next::Read
    }
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
const EMPTY_TEXT: [u8; 6] = [0x81, 0x80, 0, 0, 0, 0];

/// A stream that has been upgraded under the rule, with two frames to read.
async fn upgraded(connections: &Connections, hold: Duration) -> (Stream, TcpStream) {
    let (mut stream, mut peer) = pair(connections, LONG, hold).await;
    let all = [HEAD, &EMPTY_TEXT, &EMPTY_TEXT].concat();
    peer.write_all(&all).await.unwrap();
    let mut head = [0; 1024];
    assert_eq!(stream.read(&mut head).await.unwrap(), HEAD.len());
    stream.socket().leave_rule(Box::new(Always)).unwrap();
    stream.write_all(ANSWER).await.unwrap();
    assert!(stream.socket().leave_rule(Box::new(Always)).is_err());
    assert!(stream.begin_reading());
    let mut frame = [0; 1024];
    assert_eq!(stream.read(&mut frame).await.unwrap(), EMPTY_TEXT.len());
    (stream, peer)
}

#[tokio::test]
async fn a_held_reader_goes_on_after_the_answer() {
    let connections = Connections::new();
    let (stream, _peer) = upgraded(&connections, LONG).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut waiting = tokio::spawn(async move { reader.read(&mut [0; 1024]).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    writer.write_all(&[0x81, 0]).await.unwrap();
    let read = (&mut waiting).await.unwrap().unwrap();
    assert_eq!(read, EMPTY_TEXT.len());
}

#[tokio::test]
async fn a_held_reader_goes_on_when_the_hold_is_over() {
    let connections = Connections::new();
    let (mut stream, _peer) = upgraded(&connections, SHORT).await;
    let read = stream.read(&mut [0; 1024]).await.unwrap();
    assert_eq!(read, EMPTY_TEXT.len());
}

#[tokio::test]
async fn a_held_reader_is_freed_by_the_kill_switch() {
    let connections = Connections::new();
    let (mut stream, _peer) = upgraded(&connections, LONG).await;
    let kill = Kill::of(stream.socket());
    let waiting = tokio::spawn(async move {
        loop {
            if let Err(error) = stream.read(&mut [0; 1024]).await {
                break error;
            }
        }
    });
    tokio::task::yield_now().await;
    assert!(kill.kill());
    let error = waiting.await.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
}

#[tokio::test]
async fn small_reads_of_a_long_message_lose_nothing() {
    let connections = Connections::new();
    let (mut stream, mut peer) = pair(&connections, LONG, SHORT).await;
    let body: String = (0..50_000)
        .map(|at| char::from(b'a' + at as u8 % 26))
        .collect();
    let frame = Message::Text(body).frame();
    let sent = [HEAD, &frame[..]].concat();
    let writer = tokio::spawn(async move {
        peer.write_all(&sent).await.unwrap();
        peer
    });
    let mut head = vec![0; HEAD.len()];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head, HEAD);
    stream.socket().leave_rule(Box::new(Always)).unwrap();
    stream.write_all(ANSWER).await.unwrap();
    assert!(stream.begin_reading());
    let mut read = Vec::new();
    while read.len() < frame.len() {
        let mut part = [0; 7];
        let some = stream.read(&mut part).await.unwrap();
        read.extend_from_slice(&part[..some]);
        assert!(stream.held.len() <= HELD_MAX);
    }
    assert!(read == frame);
    writer.await.unwrap();
}

/// The server stops reading a client that never reads, before its pongs use up memory.
#[tokio::test]
async fn a_peer_that_takes_no_pongs_is_not_read() {
    let connections = Connections::new();
    let (mut stream, mut peer) = upgraded(&connections, SHORT).await;
    fill(&mut stream).await;
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[7; 125]].concat();
    let flood = tokio::spawn(async move {
        loop {
            if peer.write_all(&ping.repeat(100)).await.is_err() {
                return;
            }
        }
    });
    // The reader waits for the peer and is not polled again.
    poll_fn(|cx| match stream.poll_message(cx, 1 << 20) {
        Poll::Pending if stream.socket().out().is_congested() => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
        Poll::Ready(read) => {
            read.unwrap();
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    let waiting = tokio::task::unconstrained(poll_fn(|cx| stream.poll_message(cx, 1 << 20)));
    assert!(futures_util::poll!(std::pin::pin!(waiting)).is_pending());
    assert!(stream.held.len() <= HELD_MAX);
    stream.socket().kill();
    drop(stream);
    flood.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_the_look_and_the_lock_wakes_the_writer() {
    for _ in 0..50 {
        let connections = Connections::new();
        let (mut stream, _peer) = pair(&connections, LONG, LONG).await;
        fill(&mut stream).await;
        let socket = stream.socket().clone();
        let holder = socket.clone();
        let (writer, cut) = {
            let _out = holder.out();
            let writer = tokio::spawn(async move { stream.write_all(b"more").await });
            // Time enough for the writer to come to the lock.
            (0..2_000).for_each(|_| std::thread::yield_now());
            (writer, std::thread::spawn(move || socket.kill()))
        };
        let written = tokio::time::timeout(LONG, writer).await;
        written.expect("never woken").unwrap().unwrap_err();
        assert!(cut.join().unwrap());
    }
}

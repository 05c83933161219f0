//! A link that is slow or breaks: a TCP proxy in the test's process. Knows bytes,
//! and nothing of what they say.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::SOON;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How long it takes each way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay {
    pub there: Duration,
    pub back: Duration,
}

/// Listens, and passes on what it hears; it ends when this is dropped.
pub struct Slow {
    pub address: SocketAddr,
    delay: watch::Sender<Delay>,
    cuts: watch::Sender<u64>,
    running: JoinHandle<()>,
}

impl Slow {
    /// In front of what listens there, at first without a delay.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (delay, delays) = watch::channel(Delay::default());
        let (cuts, cut) = watch::channel(0);
        let running = tokio::spawn(async move {
            // In tasks of this one's: they end with it.
            let mut links = JoinSet::new();
            loop {
                let Ok((near, _)) = listener.accept().await else {
                    continue;
                };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                links.spawn(link(near, target, delays.clone(), cut));
                while links.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            delay,
            cuts,
            running,
        }
    }

    /// From here on it takes this long; what is under way comes when it would have.
    pub fn takes(&self, delay: Delay) {
        self.delay.send_replace(delay);
    }

    /// Cuts all connections, with what is under way on them; new ones are taken.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn link(
    near: TcpStream,
    target: SocketAddr,
    delay: watch::Receiver<Delay>,
    mut cut: watch::Receiver<u64>,
) {
    let both = async {
        let Ok(far) = TcpStream::connect(target).await else {
            return;
        };
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        tokio::join!(
            carry(near_in, far_out, || delay.borrow().there),
            carry(far_in, near_out, || delay.borrow().back),
        );
    };
    tokio::select! {
        () = both => {}
        _ = cut.changed() => {}
    }
}

/// Writes what it reads, each piece when its time has come and none before the last.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: impl Fn() -> Duration,
) {
    let (queue, mut queued) = mpsc::unbounded_channel();
    let reading = async move {
        let mut bytes = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            let piece = (Instant::now() + delay(), bytes[..read].to_vec());
            if queue.send(piece).is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((at, piece)) = queued.recv().await {
            sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The end, in its place behind the rest; it may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

/// Somebody who answers what is said with the same.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                // Whoever asked may be cut.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Says something, and waits until it is back.
async fn says(stream: &mut TcpStream, what: &[u8]) {
    stream.write_all(what).await.unwrap();
    let mut heard = vec![0; what.len()];
    let answered = timeout(SOON, stream.read_exact(&mut heard)).await;
    answered.expect("nothing comes").unwrap();
    assert_eq!(heard, what);
}

#[tokio::test]
async fn each_way_takes_its_time_as_it_is_told() {
    let slow = Slow::before(echo().await).await;
    let mut stream = TcpStream::connect(slow.address).await.unwrap();
    let long = Duration::from_millis(40);
    let none = Duration::ZERO;
    for (there, back) in [(none, none), (long, none), (none, long), (long, long)] {
        slow.takes(Delay { there, back });
        let begun = Instant::now();
        says(&mut stream, &b"hello".repeat(CHUNK / 4)).await;
        assert!(begun.elapsed() >= there + back, "{there:?} and {back:?}");
    }
}

#[tokio::test]
async fn a_cut_ends_what_is_connected_and_not_who_comes_then() {
    let slow = Slow::before(echo().await).await;
    let mut stream = TcpStream::connect(slow.address).await.unwrap();
    for round in [b"a", b"b"] {
        says(&mut stream, round).await;
        slow.cut();
        let ended = timeout(SOON, stream.read(&mut [0])).await;
        // A reset is an end as well.
        let read = ended.expect("it goes on").unwrap_or(0);
        assert_eq!(read, 0);
        stream = TcpStream::connect(slow.address).await.unwrap();
    }
    says(&mut stream, b"c").await;
}

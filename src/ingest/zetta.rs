//! The Zetta port: which addresses may connect, and what all connections share.
//! Knows nothing of what a connection says; that is in the files below.

mod airings;
mod connections;
pub mod current;
pub mod framing;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod honest_tests;
mod http;
mod item;
mod known;
mod protocol;
mod sender;
mod senders;
pub mod xml;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use ipnet::IpNet;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::connections::Connections;
use self::current::OnAir;
use self::protocol::Protocol;
use self::sender::Sender;
use super::paced::Paced;
use crate::nowplaying::feed::Feed;
use crate::nowplaying::{Airing, Publish};

/// Most descriptors: the port and its connections.
pub const DESCRIPTORS: usize = 1 + connections::CONNECTIONS_MOST;

/// How long a document, or an HTTP request with one, may take from its first byte to its last:
/// studios are on the same network, and senders repeat their documents.
const PARTIAL_MOST: Duration = Duration::from_secs(30);

/// How many bytes one read takes; a usual document has 1 to 4 KiB.
const READ: usize = 16 * 1024;

/// How many lines of a kind of trouble are written in ten seconds; one says it.
const TROUBLE_LINES: u32 = 1;

/// How many lines of a usual kind are written in ten seconds: a change of item
/// with its correction, on two senders that connect anew, and no flood.
const USUAL_LINES: u32 = 5;

/// Detects within 90 s that a sender has vanished: after 30 s of silence the kernel sends three
/// probes. A sender that answers them may be silent for hours.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(20))
    .with_retries(3);

/// How the port behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// From where senders may connect.
    pub allow: Vec<IpNet>,
}

/// Takes senders until `shutdown`, then lets them go.
///
/// `stored` are the last airings before a restart, the newest last.
pub async fn run(
    listener: TcpListener,
    config: Config,
    stored: Vec<Airing>,
    publish: Publish,
    feed: Arc<Feed>,
    shutdown: CancellationToken,
) {
    let port = Arc::new(Port {
        config,
        publish,
        feed,
        on_air: Mutex::new(OnAir::new(stored, Instant::now(), Utc::now())),
        troubles: Paced::new(TROUBLE_LINES),
        usual: Paced::new(USUAL_LINES),
    });
    let mut connections = Connections::default();
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                port.trouble("accept", || warn!(%error, "the Zetta port can't accept"));
                // Out of descriptors: whoever closes one lets us go on.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if !port.allows(peer.ip()) {
            port.trouble(
                "address",
                || warn!(%peer, "a sender was refused; allow its address with --zetta-allow"),
            );
            continue;
        }
        match connections.make_room(peer.ip()).await {
            Ok(None) => {}
            Ok(Some(closed)) => port.trouble(
                "idle",
                || warn!(%closed, %peer, "too many connections: closed one that has never sent a document, to admit a new one"),
            ),
            Err(full) => {
                port.trouble(
                    "connections",
                    || warn!(%peer, %full, "too many senders: refused this one"),
                );
                continue;
            }
        }
        let has_sent = Arc::new(AtomicBool::new(false));
        let sender = Sender::new(port.clone(), peer, has_sent.clone());
        let shutdown = shutdown.clone();
        let task = tasks.spawn(async move {
            tokio::select! {
                () = serve(sender, stream) => {}
                () = shutdown.cancelled() => {}
            }
        });
        connections.add(peer.ip(), has_sent, task);
    }
    tasks.close();
    tasks.wait().await;
}

/// Serves a connection until either side ends it.
async fn serve(sender: Sender, mut stream: TcpStream) {
    let (port, peer) = (sender.port.clone(), sender.peer);
    let _connected = port.feed.connected();
    metrics::counter!("roomcast_zetta_connections_total").increment(1);
    port.usual("connected", || info!(%peer, "a sender has connected"));
    keep_alive(&stream, peer);
    let ended = match protocol::recognise(&mut stream).await {
        Ok((Protocol::Documents, read)) => sender.listen(&read, stream).await,
        Ok((Protocol::Http, read)) => http::serve(sender, read, stream).await,
        Ok((protocol, _)) => {
            port.trouble(
                "intruder",
                || warn!(%peer, ?protocol, "not Zetta: the client speaks another protocol"),
            );
            Ok(())
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => port.usual("gone", || info!(%peer, "a sender has gone")),
        Err(error) => debug!(%peer, %error, "a sender was lost"),
    }
}

fn keep_alive(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE) {
        debug!(%peer, %error, "no keepalive for this sender");
    }
}

/// What all connections share.
struct Port {
    config: Config,
    publish: Publish,
    feed: Arc<Feed>,
    /// Guards what is on over all connections; held while a change is published,
    /// so that changes are published in their order. Publishing never blocks.
    on_air: Mutex<OnAir>,
    troubles: Paced,
    usual: Paced,
}

impl Port {
    fn allows(&self, address: IpAddr) -> bool {
        self.config.allow.iter().any(|net| net.contains(&address))
    }

    /// Counts a trouble, and logs it unless the same was logged a moment ago.
    fn trouble(&self, reason: &'static str, log: impl FnOnce()) {
        metrics::counter!("roomcast_zetta_rejected_total", "reason" => reason).increment(1);
        if self.troubles.lets(reason) {
            log();
        }
    }

    /// Logs what happens every day, unless too much of it happened just now.
    fn usual(&self, kind: &'static str, log: impl FnOnce()) {
        if self.usual.lets(kind) {
            log();
        }
    }
}

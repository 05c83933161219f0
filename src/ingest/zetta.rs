//! The Zetta port: who may connect, how long a document may take, and where
//! the tracks go. Knows TCP; documents and rules are in the files below.

pub mod current;
pub mod framing;
mod intruder;
pub mod xml;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::Utc;
use ipnet::IpNet;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::current::{Change, OnAir};
use self::framing::{Broken, Found, Framer};
use self::intruder::{Greeting, Post};
use crate::nowplaying::feed::Feed;
use crate::nowplaying::{Item, Publish, Slot, Station};

/// How many senders may be connected: a hot spare, some reconnects that the
/// kernel has not noticed to be over, and a colleague who tests.
const CONNECTIONS_MOST: usize = 64;

/// How long a document may take from its first byte to its last: studios are
/// on the same network, and a burst repeats what was lost.
const PARTIAL_MOST: Duration = Duration::from_secs(30);

/// How much is read at once; a usual document has 1 to 4 KiB.
const READ: usize = 16 * 1024;

/// How often a kind of trouble is logged; in between it is only counted.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// How long an HTTP client may take to read its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Finds a sender that is gone without a word within two minutes; silence of
/// hours is normal and kills nothing.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(20));

/// How the port behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// From where senders may connect.
    pub allow: Vec<IpNet>,
    /// How tracks are shown.
    pub station: Station,
}

/// Takes senders until `shutdown`, then lets them go.
pub async fn run(
    listener: TcpListener,
    config: Config,
    publish: Publish,
    feed: Arc<Feed>,
    shutdown: CancellationToken,
) {
    let port = Arc::new(Port {
        config,
        publish,
        feed,
        on_air: Mutex::default(),
        logged: Mutex::default(),
    });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
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
        let Ok(place) = places.clone().try_acquire_owned() else {
            port.trouble(
                "connections",
                || warn!(%peer, most = CONNECTIONS_MOST, "too many senders; this one was refused"),
            );
            continue;
        };
        let (port, shutdown) = (port.clone(), shutdown.clone());
        tasks.spawn(async move {
            let _connected = port.feed.connected();
            info!(%peer, "a sender has connected");
            tokio::select! {
                () = port.listen(stream, peer) => {}
                () = shutdown.cancelled() => {}
            }
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
}

struct Port {
    config: Config,
    publish: Publish,
    feed: Arc<Feed>,
    /// Guards what is on over all connections; held while a change is published,
    /// so that changes are published in their order. Publishing never blocks.
    on_air: Mutex<OnAir>,
    /// Guards when each kind of trouble was logged last.
    logged: Mutex<Vec<(&'static str, Instant)>>,
}

impl Port {
    fn allows(&self, address: IpAddr) -> bool {
        self.config.allow.iter().any(|net| net.contains(&address))
    }

    /// Counts a trouble, and logs it unless the same was logged a moment ago.
    fn trouble(&self, reason: &'static str, log: impl FnOnce()) {
        metrics::counter!("roomcast_zetta_rejected_total", "reason" => reason).increment(1);
        let now = Instant::now();
        let mut logged = self.logged.lock().expect("no code panics under this lock");
        match logged.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, last)) if now - *last < LOG_EVERY => return,
            Some((_, last)) => *last = now,
            None => logged.push((reason, now)),
        }
        drop(logged);
        log();
    }

    async fn listen(&self, mut stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE) {
            debug!(%peer, %error, "no keepalive for this sender");
        }
        let mut framer = Framer::default();
        let ended = self.read(&mut stream, peer, &mut framer).await;
        if framer.is_inside() {
            self.trouble(
                "unfinished",
                || warn!(%peer, "a sender went away inside a document"),
            );
        }
        if framer.heard_only_garbage() {
            self.trouble(
                "no_document",
                || warn!(%peer, "a sender has gone; nothing that it sent was ZettaLite"),
            );
        }
        match ended {
            Ok(()) => info!(%peer, "a sender has gone"),
            Err(error) => debug!(%peer, %error, "a sender was lost"),
        }
    }

    async fn read(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        framer: &mut Framer,
    ) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        let mut greeting = Greeting::default();
        let mut post: Option<Post> = None;
        let mut found = Vec::new();
        let mut partial_since: Option<Instant> = None;
        loop {
            let read = tokio::select! {
                read = stream.read(&mut buffer) => read?,
                () = expiry(partial_since) => {
                    self.trouble("slow", || {
                        warn!(%peer, limit = ?PARTIAL_MOST, "a document took too long and was dropped")
                    });
                    framer.drop_partial(&mut found);
                    self.take(&mut found, peer);
                    partial_since = framer.is_inside().then(Instant::now);
                    continue;
                }
            };
            if read == 0 {
                return Ok(());
            }
            let mut bytes = &buffer[..read];
            if let Some(intruder) = greeting.look(bytes) {
                if intruder == intruder::Kind::Post {
                    post = Some(Post::default());
                } else {
                    self.trouble("intruder", || {
                        warn!(%peer, spoke = intruder.as_str(), "not a Zetta: something else spoke on this port")
                    });
                    return Ok(());
                }
            }
            if let Some(post) = &mut post {
                match post.take(bytes) {
                    Ok(body) => bytes = &bytes[bytes.len() - body..],
                    Err(refused) => {
                        self.trouble(
                            "intruder",
                            || warn!(%peer, status = refused.status, "an HTTP request was refused"),
                        );
                        return answer(stream, refused.text).await;
                    }
                }
            }
            framer.push(bytes, &mut found);
            self.take(&mut found, peer);
            partial_since = match partial_since {
                Some(since) if framer.is_inside() && found.is_empty() => Some(since),
                _ => framer.is_inside().then(Instant::now),
            };
            found.clear();
            if post.as_ref().is_some_and(Post::is_complete) {
                return answer(stream, intruder::OK).await;
            }
        }
    }

    /// Publishes what was found; `found` keeps telling that there was something.
    fn take(&self, found: &mut [Found], peer: SocketAddr) {
        for found in found {
            match found {
                Found::Document(text) => self.document(text, peer),
                Found::Broken(broken) => self.broken(*broken, peer),
            }
        }
    }

    fn broken(&self, broken: Broken, peer: SocketAddr) {
        match broken {
            Broken::Cut => self.trouble("cut", || {
                warn!(%peer, "a document was cut off by the next one")
            }),
            Broken::TooLarge => self.trouble("too_large", || {
                warn!(%peer, most = framing::HELD_MOST, "a document was too large and was dropped")
            }),
            Broken::OtherFormat => self.trouble("other_format", || {
                warn!(%peer, "not ZettaLite: set the format of this Live Metadata output to ZettaLite")
            }),
        }
    }

    fn document(&self, text: &str, peer: SocketAddr) {
        let events = match xml::read(text) {
            Ok(events) => events,
            Err(error) => {
                return self.trouble(
                    "unreadable",
                    || warn!(%peer, %error, "a document can't be read"),
                );
            }
        };
        metrics::counter!("roomcast_zetta_documents_total").increment(1);
        self.feed.heard();
        let mut on_air = self.on_air.lock().expect("no code panics under this lock");
        for change in on_air.take(&events, Utc::now()) {
            match change {
                Change::Current(item) => self.publish("on air", &item, false),
                Change::Corrected(item) => self.publish("corrected", &item, false),
                Change::Next(item) => self.publish("next", &item, true),
                Change::Aired(item) => {
                    metrics::counter!("roomcast_zetta_late_total").increment(1);
                    debug!(start = %item.start, "an item that is over already");
                }
            }
        }
    }

    fn publish(&self, what: &'static str, item: &Item, next: bool) {
        let song = item.is_song();
        let slot = if next {
            Slot::Next
        } else {
            Slot::Current { song }
        };
        info!(song, title = item.title, artist = item.artist, start = %item.start, "{what}");
        (self.publish)(slot, item.message(&self.config.station));
    }
}

async fn expiry(since: Option<Instant>) {
    match since {
        Some(since) => sleep_until(since + PARTIAL_MOST).await,
        None => std::future::pending().await,
    }
}

async fn answer(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    timeout(ANSWER, async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    })
    .await?
}

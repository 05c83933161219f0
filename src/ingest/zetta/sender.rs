//! One sender: what is read of its connection, how long a document may take,
//! and what is published of it. Knows no other connection, and not who may
//! connect.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::Utc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::Port;
use super::framing::{self, Broken, Found, Framer};
use super::intruder::{self, Greeting, Post};
use super::xml;
use crate::nowplaying::Change;

/// How long a document, or an HTTP request with one, may take from its first
/// byte to its last: studios are on the same network, and a burst repeats what
/// was lost.
const PARTIAL_MOST: Duration = Duration::from_secs(30);

/// How much is read at once; a usual document has 1 to 4 KiB.
const READ: usize = 16 * 1024;

/// How long an HTTP client may take to read its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A connection of the Zetta port.
pub(super) struct Sender<'a> {
    port: &'a Port,
    peer: SocketAddr,
    framer: Framer,
    /// Since when a document is being read that has no end yet.
    partial_since: Option<Instant>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(port: &'a Port, peer: SocketAddr) -> Self {
        Self {
            port,
            peer,
            framer: Framer::default(),
            partial_since: None,
        }
    }

    /// Reads until the connection is over, whoever ends it.
    pub(super) async fn listen(mut self, mut stream: TcpStream) {
        let (port, peer) = (self.port, self.peer);
        let ended = self.read(&mut stream).await;
        if self.framer.is_inside() {
            port.trouble(
                "unfinished",
                || warn!(%peer, "a sender went away inside a document"),
            );
        }
        if self.framer.heard_only_garbage() {
            port.trouble(
                "no_document",
                || warn!(%peer, "a sender has gone; nothing that it sent was ZettaLite"),
            );
        }
        match ended {
            Ok(()) => port.usual("gone", || info!(%peer, "a sender has gone")),
            Err(error) => debug!(%peer, %error, "a sender was lost"),
        }
    }

    async fn read(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let (port, peer) = (self.port, self.peer);
        let mut buffer = vec![0; READ];
        let mut greeting = Greeting::default();
        let mut post: Option<(Post, Instant)> = None;
        loop {
            let posted_since = post.as_ref().map(|(_, since)| *since);
            let read = tokio::select! {
                read = stream.read(&mut buffer) => read?,
                () = expiry(posted_since.or(self.partial_since)) => {
                    self.give_up();
                    if posted_since.is_some() {
                        return answer(stream, intruder::TOO_SLOW).await;
                    }
                    continue;
                }
            };
            if read == 0 {
                return Ok(());
            }
            let mut bytes = &buffer[..read];
            if let Some(intruder) = greeting.look(bytes) {
                if intruder == intruder::Kind::Post {
                    post = Some((Post::default(), Instant::now()));
                } else {
                    port.trouble("intruder", || {
                        warn!(%peer, spoke = intruder.as_str(), "not a Zetta: something else spoke on this port")
                    });
                    return Ok(());
                }
            }
            if let Some((post, _)) = &mut post {
                match post.take(bytes) {
                    Ok(body) => bytes = &bytes[bytes.len() - body..],
                    Err(refused) => {
                        port.trouble(
                            "intruder",
                            || warn!(%peer, status = refused.status, "an HTTP request was refused"),
                        );
                        return answer(stream, refused.text).await;
                    }
                }
            }
            self.hear(bytes);
            if post.as_ref().is_some_and(|(post, _)| post.is_complete()) {
                return answer(stream, intruder::OK).await;
            }
        }
    }

    /// Takes what was read, and publishes what is complete with it.
    fn hear(&mut self, bytes: &[u8]) {
        let mut found = Vec::new();
        self.framer.push(bytes, &mut found);
        let same = found.is_empty();
        self.take(found);
        self.partial_since = match self.partial_since {
            Some(since) if self.framer.is_inside() && same => Some(since),
            _ => self.framer.is_inside().then(Instant::now),
        };
    }

    /// Gives up the document that has taken too long.
    fn give_up(&mut self) {
        let peer = self.peer;
        self.port.trouble(
            "slow",
            || warn!(%peer, limit = ?PARTIAL_MOST, "a document took too long and was dropped"),
        );
        let mut found = Vec::new();
        self.framer.drop_partial(&mut found);
        self.take(found);
        self.partial_since = self.framer.is_inside().then(Instant::now);
    }

    fn take(&self, found: Vec<Found>) {
        for found in found {
            match found {
                Found::Document(text) => self.document(&text),
                Found::Broken(broken) => self.broken(broken),
            }
        }
    }

    fn broken(&self, broken: Broken) {
        let (port, peer) = (self.port, self.peer);
        match broken {
            Broken::Cut => port.trouble("cut", || {
                warn!(%peer, "a document was cut off by the next one")
            }),
            Broken::TooLarge => port.trouble("too_large", || {
                warn!(%peer, most = framing::HELD_MOST, "a document was too large and was dropped")
            }),
            Broken::OtherFormat => port.trouble("other_format", || {
                warn!(%peer, "not ZettaLite: set the format of this Live Metadata output to ZettaLite")
            }),
        }
    }

    fn document(&self, text: &str) {
        let (port, peer) = (self.port, self.peer);
        let events = match xml::read(text) {
            Ok(events) => events,
            Err(error) => {
                return port.trouble(
                    "unreadable",
                    || warn!(%peer, %error, "a document can't be read"),
                );
            }
        };
        metrics::counter!("roomcast_zetta_documents_total").increment(1);
        port.feed.heard();
        let mut on_air = port.on_air.lock().expect("no code panics under this lock");
        for change in on_air.take(&events, Utc::now()) {
            self.tell(&change);
            (port.publish)(change);
        }
    }

    fn tell(&self, change: &Change) {
        let (what, item) = match change {
            Change::Current(item) => ("on air", item),
            Change::Corrected(item) => ("corrected", item),
            Change::Next(item) => ("next", item),
            // Every ten seconds.
            Change::Again(_) => return,
            Change::Aired(item) => {
                metrics::counter!("roomcast_zetta_late_total").increment(1);
                debug!(start = %item.start, "an item that is over already");
                return;
            }
        };
        self.port.usual(what, || {
            // Logs are passed on as reports are: advertisers stay out of both.
            let song = item.is_song();
            let title = song.then_some(item.title.as_str());
            let artist = song.then_some(item.artist.as_str());
            info!(song, title, artist, start = %item.start, "{what}")
        });
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

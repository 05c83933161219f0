//! One sender: reads its connection, limits the time of a document, and publishes the changes.
//! Knows no other connection.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::current::Fault;
use super::framing::{Broken, Found, Framer};
use super::xml;
use super::{PARTIAL_MOST, Port, READ};
use crate::nowplaying::Change;

/// The reason to refuse another format, with the setting to change.
pub(super) const OTHER_FORMAT: &str =
    "not ZettaLite: set the format of this Live Metadata output to ZettaLite";

/// The reason to refuse a document that is not well-formed.
const UNREADABLE: &str = "the document is not well-formed XML: the log of the server says where";

/// The reason to refuse a document without an end.
const UNFINISHED: &str = "the document has no end";

/// How long a sender may send something else before its first document: the text that some put
/// around documents comes with them.
const GARBAGE_MOST: Duration = Duration::from_secs(5);

/// A connection of the Zetta port.
pub(super) struct Sender {
    pub(super) port: Arc<Port>,
    pub(super) peer: SocketAddr,
    /// Whether it has sent a readable document.
    has_sent: Arc<AtomicBool>,
    framer: Framer,
    /// Since when a document is being read that has no end yet.
    partial_since: Option<Instant>,
    /// Since when nothing but another format was received, until that is logged.
    only_garbage: Garbage,
}

/// What has come instead of documents.
#[derive(Clone, Copy)]
enum Garbage {
    None,
    Since(Instant),
    Logged,
}

impl Sender {
    pub(super) fn new(port: Arc<Port>, peer: SocketAddr, has_sent: Arc<AtomicBool>) -> Self {
        Self {
            port,
            peer,
            has_sent,
            framer: Framer::default(),
            partial_since: None,
            only_garbage: Garbage::None,
        }
    }

    /// Processes the bytes read so far, and reads until the connection ends.
    pub(super) async fn listen(mut self, read: &[u8], stream: TcpStream) -> io::Result<()> {
        self.receive(read);
        let ended = self.read(stream).await;
        let (port, peer) = (&self.port, self.peer);
        if self.framer.is_inside() {
            port.trouble(
                "unfinished",
                || warn!(%peer, "a sender went away inside a document"),
            );
        }
        if self.framer.heard_only_garbage() {
            self.log_garbage();
        }
        ended
    }

    async fn read(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        loop {
            let read = tokio::select! {
                read = stream.read(&mut buffer) => read?,
                () = expiry(self.partial_since) => {
                    self.give_up();
                    continue;
                }
            };
            if read == 0 {
                return Ok(());
            }
            self.receive(&buffer[..read]);
        }
    }

    /// Logs once that this sender sends another format.
    fn log_garbage(&mut self) {
        if let Garbage::Logged = self.only_garbage {
            return;
        }
        self.only_garbage = Garbage::Logged;
        let peer = self.peer;
        self.port.trouble(
            "no_document",
            || warn!(%peer, "this sender sends another format: set the format of its Live Metadata output to ZettaLite"),
        );
    }

    /// Publishes the documents of a whole text, such as a request body.
    ///
    /// # Errors
    /// The text holds no readable document. The error says what is wrong with the first document,
    /// if there is any.
    pub(super) fn take_whole(&self, text: &[u8]) -> Result<(), Option<&'static str>> {
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        framer.push(text, &mut found);
        let taken = self.take(found);
        if framer.is_inside() {
            let peer = self.peer;
            self.port
                .trouble("unfinished", || warn!(%peer, "{UNFINISHED}"));
            return taken.map_err(|why| why.or(Some(UNFINISHED)));
        }
        taken
    }

    /// Takes what was read, and publishes what is complete with it.
    fn receive(&mut self, bytes: &[u8]) {
        let mut found = Vec::new();
        self.framer.push(bytes, &mut found);
        let same = found.is_empty();
        let _ = self.take(found);
        self.partial_since = match self.partial_since {
            Some(since) if self.framer.is_inside() && same => Some(since),
            _ => self.framer.is_inside().then(Instant::now),
        };
        if self.framer.heard_only_garbage() {
            match self.only_garbage {
                Garbage::None => self.only_garbage = Garbage::Since(Instant::now()),
                Garbage::Since(since) if since.elapsed() >= GARBAGE_MOST => self.log_garbage(),
                Garbage::Since(_) | Garbage::Logged => {}
            }
        }
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
        let _ = self.take(found);
        self.partial_since = self.framer.is_inside().then(Instant::now);
    }

    /// Publishes documents, and counts the broken ones. The error is that of [`Self::take_whole`].
    fn take(&self, found: Vec<Found>) -> Result<(), Option<&'static str>> {
        let mut taken = Err(None);
        for found in found {
            let one = match found {
                Found::Document(text) => self.document(&text),
                Found::Broken(broken) => Err(self.broken(broken)),
            };
            taken = match (taken, one) {
                (Err(None), Err(why)) => Err(Some(why)),
                (Err(first), Err(_)) => Err(first),
                _ => Ok(()),
            };
        }
        taken
    }

    /// Counts a broken document; returns the reason.
    fn broken(&self, broken: Broken) -> &'static str {
        let (kind, why) = match broken {
            Broken::Cut => ("cut", "a document was cut off by the next one"),
            Broken::TooLarge => (
                "too_large",
                "a document was larger than 1 MiB and was dropped",
            ),
            Broken::OtherFormat => ("other_format", OTHER_FORMAT),
        };
        let peer = self.peer;
        self.port.trouble(kind, || warn!(%peer, "{why}"));
        why
    }

    fn document(&self, text: &str) -> Result<(), &'static str> {
        let (port, peer) = (&self.port, self.peer);
        let events = match xml::read(text) {
            Ok(events) => events,
            Err(error) => {
                port.trouble(
                    "unreadable",
                    || warn!(%peer, %error, "a document can't be read"),
                );
                return Err(UNREADABLE);
            }
        };
        self.has_sent.store(true, Ordering::Relaxed);
        metrics::counter!("roomcast_zetta_documents_total").increment(1);
        port.feed.heard();
        // A panic over one document costs that document.
        let on_air = port.on_air.lock();
        let mut on_air = on_air.unwrap_or_else(PoisonError::into_inner);
        let taken = on_air.take(peer, &events, Instant::now(), Utc::now());
        if taken.is_late {
            metrics::counter!("roomcast_zetta_late_total").increment(1);
            debug!(%peer, "a sender declares an item that is over already");
        }
        for fault in taken.faults {
            self.fault(&fault);
        }
        for change in taken.changes {
            self.tell(&change);
            (port.publish)(change);
        }
        port.feed.set_skews(on_air.skews());
        Ok(())
    }

    fn fault(&self, fault: &Fault) {
        let (peer, text) = (self.peer, &fault.text);
        metrics::counter!("roomcast_zetta_faults_total", "reason" => fault.reason).increment(1);
        match fault.reason {
            _ if !fault.is_logged => {}
            "skew" => {
                warn!(%peer, seconds = text, "the clock of this sender, or of this server, is wrong: its StartTimes are published unchanged");
            }
            "status" => {
                warn!(%peer, status = text, "unknown Status: only CURRENT puts an item on air");
            }
            _ => {
                warn!(%peer, start = text, "this StartTime makes no sense: the time of receipt is published instead");
            }
        }
    }

    fn tell(&self, change: &Change) {
        let (what, item) = match change {
            Change::Current(item) => ("on air", item),
            Change::Corrected(item) => ("corrected", item),
            Change::Next(item) => ("next", item),
            Change::Resumed(item, _) => ("on air again", item),
            // Every ten seconds, and beside another change.
            Change::Again(_) | Change::NextUnknown => return,
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

impl Drop for Sender {
    fn drop(&mut self) {
        // No `expect` here: a panic while another one unwinds would abort the process.
        if let Ok(mut on_air) = self.port.on_air.lock() {
            on_air.gone(self.peer);
            self.port.feed.set_skews(on_air.skews());
        }
    }
}

async fn expiry(since: Option<Instant>) {
    match since {
        Some(since) => sleep_until(since + PARTIAL_MOST).await,
        None => std::future::pending().await,
    }
}

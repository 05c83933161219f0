//! What comes in on the Zetta port: the acceptance list of the feed, line by
//! line, over TCP. Here: a port, what it published and what it complained of.

mod encoding;
mod http;
mod items;
mod senders;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use roomcast::config::private_networks;
use roomcast::core::broker::Memory;
use roomcast::core::event::{Event, Publication};
use roomcast::core::hub::Hub;
use roomcast::core::name::{NamespaceName, RoomName};
use roomcast::core::outlet::{CloseReason, Outlet};
use roomcast::ingest::programme::Programme;
use roomcast::ingest::rooms::{Rooms, Slot};
use roomcast::ingest::zetta::{self, Config};
use roomcast::namespaces;
use roomcast::nowplaying::Station;
use roomcast::nowplaying::feed::Feed;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::client::SOON;

const REAL: &str = include_str!("fixtures/song_current.xml");

/// The events of the rooms of `/metadata`, with their room and how they are retained.
struct Published(mpsc::UnboundedSender<(Slot, Value)>);

impl Outlet for Published {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let Publication {
            room,
            retain,
            message,
            ..
        } = &event.publication;
        let slot = match room.as_str() {
            "next" => Slot::Next,
            _ => Slot::Current {
                song: retain.iter().any(|key| key == "song"),
            },
        };
        let _ = self
            .0
            .send((slot, serde_json::from_str(message.get()).unwrap()));
        Ok(())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Ok(())
    }

    fn close(&self, _: CloseReason) {}
}

/// A Zetta port whose tracks and complaints can be looked at.
///
/// Counters and logs are those of this thread: a test has a runtime of its own
/// on one thread.
struct Port {
    address: SocketAddr,
    feed: Arc<Feed>,
    published: mpsc::UnboundedReceiver<(Slot, Value)>,
    shutdown: CancellationToken,
    counted: PrometheusHandle,
    /// How many lines warn, and how many only tell.
    logged: Lines,
    _counting: metrics::LocalRecorderGuard<'static>,
    _logging: tracing::subscriber::DefaultGuard,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Port {
    async fn open() -> Self {
        let recorder: &PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let logged = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(logged.clone())
            .finish();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tx, published) = mpsc::unbounded_channel();
        let station = Station {
            timezone: chrono_tz::America::Chicago,
            text: "The station".into(),
        };
        let hub = Hub::new(namespaces::load(None).unwrap(), Memory);
        let namespace = NamespaceName::parse("/metadata").unwrap();
        let listener_of = |room: &str| {
            let room = RoomName::parse(room).unwrap();
            let client = hub.connect(&namespace, Arc::new(Published(tx.clone())));
            hub.join(&client.unwrap(), &room, None, None, |_| ())
                .unwrap();
        };
        ["now-playing", "next"].into_iter().for_each(listener_of);
        let rooms = Rooms::new(hub.clone());
        let programme = Programme::new(rooms, None, station, Duration::from_secs(600));
        let publish = programme.publish();
        let config = Config {
            allow: private_networks(),
        };
        let (feed, shutdown) = (Arc::new(Feed::default()), CancellationToken::new());
        let port = Self {
            address,
            feed: feed.clone(),
            published,
            shutdown: shutdown.clone(),
            counted: recorder.handle(),
            logged,
            _counting: metrics::set_default_local_recorder(recorder),
            _logging: tracing::subscriber::set_default(subscriber),
        };
        tokio::spawn(zetta::run(
            listener,
            config,
            Vec::new(),
            publish,
            feed,
            shutdown,
        ));
        port
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn next(&mut self) -> (Slot, Value) {
        timeout(SOON, self.published.recv())
            .await
            .expect("nothing was published")
            .unwrap()
    }

    /// The next track on air, and nothing else before it but that the next one is unknown.
    async fn track(&mut self) -> String {
        let (mut slot, mut track) = self.next().await;
        while slot == Slot::Next && track["stale"] == true {
            (slot, track) = self.next().await;
        }
        assert!(matches!(slot, Slot::Current { .. }), "{slot:?}");
        track["track"].as_str().unwrap().to_owned()
    }

    /// One event of the room `next` and one of `now-playing`: two rooms have no common order.
    async fn next_and_now(&mut self) -> [Value; 2] {
        let (one, other) = (self.next().await, self.next().await);
        match (one, other) {
            ((Slot::Next, next), (Slot::Current { .. }, now))
            | ((Slot::Current { .. }, now), (Slot::Next, next)) => [next, now],
            both => panic!("{both:?}"),
        }
    }

    /// Writes, then a good document on the same connection, then one on another:
    /// what the first bytes publish, and the last two.
    async fn hears(&mut self, sent: impl AsRef<[u8]>, tracks: &[&str]) {
        let sent = sent.as_ref();
        let mut sender = self.connect().await;
        sender.write_all(sent).await.unwrap();
        for track in tracks {
            assert_eq!(self.track().await, *track);
        }
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(300)]).into_owned();
        sender.write_all(later(1, "Same").as_bytes()).await.unwrap();
        assert_eq!(self.track().await, "Same", "after {shown}");
        let mut other = self.connect().await;
        other.write_all(later(2, "Other").as_bytes()).await.unwrap();
        assert_eq!(self.track().await, "Other", "after {shown}");
    }

    /// What was counted as wrong so far, by reason.
    fn rejected(&self) -> BTreeMap<String, u64> {
        let counted = self.counted.render();
        let counter = r#"roomcast_zetta_rejected_total{reason=""#;
        let lines = counted
            .lines()
            .filter_map(|line| line.strip_prefix(counter));
        lines
            .map(|line| {
                let (reason, count) = line.split_once(r#""} "#).unwrap();
                (reason.to_owned(), count.parse().unwrap())
            })
            .collect()
    }

    /// How many faults were counted for this reason.
    fn faults(&self, reason: &str) -> u64 {
        let counter = format!(r#"roomcast_zetta_faults_total{{reason="{reason}"}} "#);
        let counted = self.counted.render();
        let count = counted.lines().find_map(|line| line.strip_prefix(&counter));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// What was counted as wrong is this alone, and one log line says so.
    fn complained(&self, reason: &str, times: u64) {
        let expected = [(reason.to_owned(), times)].into();
        assert_eq!(self.rejected(), expected);
        assert_eq!(self.logged.warned(), 1, "{reason}");
    }

    fn did_not_complain(&self) {
        assert_eq!(self.rejected(), BTreeMap::new());
        assert_eq!(self.logged.warned(), 0);
    }
}

/// The log line about a sender with a wrong clock; most documents here have old times.
const SKEWED: &[u8] = b"the clock of this sender";

/// Counts the lines of a log.
#[derive(Clone, Default)]
struct Lines {
    warned: Arc<AtomicUsize>,
    skewed: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

impl Lines {
    fn warned(&self) -> usize {
        self.warned.load(Ordering::Relaxed)
    }

    fn skewed(&self) -> usize {
        self.skewed.load(Ordering::Relaxed)
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.told.clone(), self.skewed.clone())
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        let warns = *meta.level() <= Level::WARN;
        let lines = if warns { &self.warned } else { &self.told };
        Line(lines.clone(), self.skewed.clone())
    }
}

/// A line that is counted when it is written.
struct Line(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_skewed = line.windows(SKEWED.len()).any(|part| part == SKEWED);
        let lines = if is_skewed { &self.1 } else { &self.0 };
        lines.fetch_add(1, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The attributes of a log event and of its asset.
fn event(event: &str, asset: &str) -> String {
    format!("<LogEvent {event}><Asset {asset} /></LogEvent>")
}

fn document(events: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><ZettaLite Version="0.0.0"><LogEventCollection>{events}</LogEventCollection></ZettaLite>"#
    )
}

fn song(id: u32, start: &str, title: &str) -> String {
    document(&current(id, start, title))
}

fn current(id: u32, start: &str, title: &str) -> String {
    event(
        &format!(
            r#"Type="SONG" StartTime="{start}" Status="CURRENT" LastStarted="true" ZettaId="{id}""#
        ),
        &format!(r#"Type="SONG" Title="{title}" Artist1="A" Album1="B" TotalLength="200""#),
    )
}

fn at(second: u32) -> String {
    format!("2026-03-01T01:{:02}:{:02}Z", second / 60, second % 60)
}

/// The two songs that most lines send.
fn two() -> (String, String) {
    (song(1, &at(0), "A"), song(2, &at(60), "B"))
}

/// A document that is newer than all the others of these files.
fn later(number: u32, title: &str) -> String {
    let start = format!("2026-03-02T00:00:{number:02}Z");
    song(9_000 + number, &start, title)
}

//! A track that a busy room refuses is not lost: it is published a moment later.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use roomcast::core::broker::{Broker, BrokerStatus, Done};
use roomcast::core::event::Publication;
use roomcast::ingest::rooms::{Rooms as Tracks, Slot};
use tokio::time::timeout;

use super::*;
use crate::client::SOON;

const FILLER: &str = "\"filler\"";

fn metadata() -> (Arc<Hub>, NamespaceName) {
    let namespace = namespace("/metadata", 0, &["song", "current"]);
    let name = namespace.name.clone();
    (Hub::new(vec![namespace], Memory), name)
}

fn listener(hub: &Hub, namespace: &NamespaceName) -> Listener {
    let (tx, told) = mpsc::unbounded_channel();
    let client = hub.connect(namespace, Arc::new(Recorder(tx))).unwrap();
    Listener { client, told }
}

/// Publishes in a room until it takes no more; nothing is delivered meanwhile.
fn fill(hub: &Arc<Hub>, namespace: &NamespaceName, name: &str) {
    let full = Arc::new(Mutex::new(None));
    while full.lock().unwrap().is_none() {
        let full = full.clone();
        hub.publish(
            Outside {
                publisher: Publisher::Feed,
                namespace,
                room: room(name),
                sender: Nickname::feed(),
                to: To::Everybody,
                message: RawValue::from_string(FILLER.into()).unwrap(),
                retain: &["current"],
                granted: Granted::default(),
                same: None,
            },
            Box::new(move |done| *full.lock().unwrap() = done.err().map(|error| error.code())),
        );
    }
    assert_eq!(*full.lock().unwrap(), Some("busy"));
}

/// Publishes tracks: a number is a song, `-` with a number what is none.
fn feed(rooms: &Arc<Tracks>, tracks: &[i32]) {
    for track in tracks {
        let slot = Slot::Current { song: *track > 0 };
        rooms.publish(slot, to_raw_value(track).unwrap());
    }
}

/// What follows the fillers, until there is no more.
async fn tracks(listener: &mut Listener) -> Vec<i32> {
    let mut tracks = Vec::new();
    while let Ok(told) = timeout(SOON, listener.told.recv()).await {
        match told {
            Some(Told::Event(text)) if text == FILLER => {}
            Some(Told::Event(text)) => tracks.push(text.parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    tracks
}

#[tokio::test(start_paused = true)]
async fn the_last_song_comes_once_the_room_takes_it() {
    // while it is busy, once it isn't -> heard, and what a joiner is shown
    let cases: [[&[i32]; 4]; 10] = [
        [&[1], &[], &[1], &[1]],
        [&[1, 2], &[], &[2], &[2]],
        [&[1, -2], &[], &[1, -2], &[1, -2]],
        [&[-1, 2], &[], &[2], &[2]],
        [&[1, -2, -3], &[], &[1, -3], &[1, -3]],
        [&[1, -2, 3], &[], &[3], &[3]],
        [&[1], &[2], &[2], &[2]],
        [&[1], &[-2], &[1, -2], &[1, -2]],
        [&[1, -2], &[-3, 4, 5], &[1, -3, 4, 5], &[5]],
        [&[], &[1, -2, 3], &[1, -2, 3], &[3]],
    ];
    for [busy, free, heard, shown] in cases {
        let case = format!("{busy:?}, {free:?}");
        let (hub, namespace) = metadata();
        let rooms = Tracks::new(hub.clone());
        let mut member = listener(&hub, &namespace);
        join_in(&hub, &member, "now-playing", None).await;

        fill(&hub, &namespace, "now-playing");
        feed(&rooms, busy);
        // The answer comes behind the last filler, and takes no time.
        join_in(&hub, &member, "now-playing", None).await;
        feed(&rooms, free);
        let retry = tokio::spawn(async move { rooms.retry().await });
        assert_eq!(tracks(&mut member).await, heard, "{case}");

        let mut joiner = listener(&hub, &namespace);
        join_in(&hub, &joiner, "now-playing", None).await;
        assert_eq!(tracks(&mut joiner).await, shown, "{case}");
        retry.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_does_not_wait_for_another() {
    let (hub, namespace) = metadata();
    let rooms = Tracks::new(hub.clone());
    let mut member = listener(&hub, &namespace);
    join_in(&hub, &member, "now-playing", None).await;
    fill(&hub, &namespace, "now-playing");
    feed(&rooms, &[1]);
    rooms.publish(Slot::Next, to_raw_value(&7).unwrap());
    let mut joiner = listener(&hub, &namespace);
    join_in(&hub, &joiner, "next", None).await;
    assert_eq!(tracks(&mut joiner).await, [7]);
    assert_eq!(tracks(&mut member).await, [] as [i32; 0], "nobody retries");
}

/// Can't ask the other nodes at first.
#[derive(Default)]
struct Cut(AtomicBool);

impl Broker for Cut {
    fn publish(&self, hub: &Arc<Hub>, publication: Publication, done: Done) {
        match self.0.swap(true, Ordering::Relaxed) {
            false => done(Err(Error::Alone)),
            true => Memory.publish(hub, publication, done),
        }
    }

    fn status(&self) -> BrokerStatus {
        Memory.status()
    }
}

#[tokio::test(start_paused = true)]
async fn a_track_that_the_other_nodes_could_not_get_is_tried_again() {
    let namespace = namespace("/metadata", 0, &["song", "current"]);
    let name = namespace.name.clone();
    let hub = Hub::new(vec![namespace], Cut::default());
    let rooms = Tracks::new(hub.clone());
    let mut member = listener(&hub, &name);
    join_in(&hub, &member, "now-playing", None).await;
    feed(&rooms, &[1]);
    let retry = tokio::spawn(async move { rooms.retry().await });
    assert_eq!(tracks(&mut member).await, [1]);
    retry.abort();
}

/// Counts what is logged for a user to read.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_logged_once_in_a_while_and_successes_are_not() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // Of a single subscriber tracing asks only the thread that comes to a line
    // first, and that may be another test's.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let (hub, namespace) = metadata();
    let rooms = Tracks::new(hub.clone());
    let member = listener(&hub, &namespace);
    join_in(&hub, &member, "now-playing", None).await;
    let logged = |tracks: &[i32]| {
        feed(&rooms, tracks);
        lines.0.swap(0, Ordering::Relaxed)
    };
    assert_eq!(logged(&[1, 2, 3]), 0, "taken");
    fill(&hub, &namespace, "now-playing");
    assert_eq!(logged(&[1, 2, 3]), 1, "refused");
    assert_eq!(logged(&[4]), 0, "refused again");
}

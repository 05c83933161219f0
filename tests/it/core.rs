//! The hub by itself: offsets, backlogs, recovery, order, limits.

mod feed;
mod kept;
mod rooms;
mod turns;

use std::sync::{Arc, Mutex};

use roomcast::core::broker::Memory;
use roomcast::core::client::Client;
use roomcast::core::error::Error;
use roomcast::core::event::{Event, Offset};
use roomcast::core::hub::{Hub, Outside};
use roomcast::core::name::{NamespaceName, Nickname, RoomName};
use roomcast::core::namespace::{Limits, Namespace, Protocol, Publisher, Rooms, Verb};
use roomcast::core::outlet::{BACKLOG_MOST, CloseReason, Outlet};
use roomcast::core::room::Joined;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{mpsc, oneshot};

/// What an outlet was told, in order.
#[derive(Debug, PartialEq)]
enum Told {
    Event(String),
    Closed(CloseReason),
}

struct Recorder(mpsc::UnboundedSender<Told>);

impl Outlet for Recorder {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let text = event.publication.message.get().to_owned();
        self.0
            .send(Told::Event(text))
            .map_err(|_| CloseReason::Gone)
    }

    fn close(&self, reason: CloseReason) {
        let _ = self.0.send(Told::Closed(reason));
    }
}

struct Listener {
    client: Arc<Client>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Listener {
    async fn messages(&mut self, count: usize) -> Vec<String> {
        let mut messages = Vec::new();
        while messages.len() < count {
            match self.told.recv().await {
                Some(Told::Event(text)) => messages.push(text),
                other => panic!("after {messages:?}: {other:?}"),
            }
        }
        messages
    }
}

fn namespace(name: &str, history: usize, retain: &[&str]) -> Namespace {
    Namespace {
        name: NamespaceName::parse(name).unwrap(),
        about: String::new(),
        protocol: Protocol::Room,
        verbs: vec![Verb::Join, Verb::Leave, Verb::Notify, Verb::Clients],
        publishers: vec![Publisher::Clients, Publisher::Feed],
        rooms: Rooms::Open,
        nickname_required: false,
        retain: retain.iter().map(ToString::to_string).collect(),
        history,
        durable: false,
        presence: true,
        limits: Limits {
            rooms_per_client: 3,
            message_bytes: 64,
            ..Limits::default()
        },
        reserved: None,
    }
}

fn hub(history: usize, retain: &[&str]) -> Arc<Hub> {
    Hub::new(vec![namespace("/n", history, retain)], Memory)
}

/// A hub whose clients may send as much, and be in as many rooms, as they like.
fn free_hub(history: usize, retain: &[&str]) -> Arc<Hub> {
    let mut namespace = namespace("/n", history, retain);
    namespace.limits = Limits {
        rooms_per_client: usize::MAX,
        events_per_second: u32::MAX,
        burst: u32::MAX,
        ..Limits::default()
    };
    Hub::new(vec![namespace], Memory)
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn connect(hub: &Hub) -> Listener {
    let (tx, told) = mpsc::unbounded_channel();
    let namespace = NamespaceName::parse("/n").unwrap();
    let client = hub.connect(&namespace, Arc::new(Recorder(tx))).unwrap();
    Listener { client, told }
}

async fn join(hub: &Hub, listener: &Listener, since: Option<Offset>) -> Joined {
    join_in(hub, listener, "r", since).await
}

async fn join_in(hub: &Hub, listener: &Listener, name: &str, since: Option<Offset>) -> Joined {
    let (tx, rx) = oneshot::channel();
    let welcome = move |joined| drop(tx.send(joined));
    hub.join(&listener.client, &room(name), None, since, welcome)
        .unwrap();
    rx.await.unwrap()
}

fn try_publish(
    hub: &Arc<Hub>,
    number: u64,
    retain: &'static [&'static str],
) -> Result<Offset, Error> {
    publish_in(hub, "r", to_raw_value(&number).unwrap(), retain)
}

fn publish_in(
    hub: &Arc<Hub>,
    name: &str,
    message: Box<RawValue>,
    retain: &'static [&'static str],
) -> Result<Offset, Error> {
    let offset = Arc::new(Mutex::new(None));
    let told = offset.clone();
    hub.publish(
        Outside {
            publisher: Publisher::Feed,
            namespace: &NamespaceName::parse("/n").unwrap(),
            room: room(name),
            sender: Nickname::feed(),
            message,
            retain,
        },
        Box::new(move |published| *told.lock().unwrap() = Some(published)),
    );
    let offset = offset.lock().unwrap().take();
    offset.expect("the memory broker answers at once")
}

fn publish_kept(hub: &Arc<Hub>, number: u64, retain: &'static [&'static str]) -> Offset {
    try_publish(hub, number, retain).unwrap()
}

fn publish(hub: &Arc<Hub>, number: u64) -> Offset {
    publish_kept(hub, number, &[])
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn since_recovers_exactly_what_was_missed() {
    let hub = hub(10, &["last"]);
    let offsets: Vec<_> = (1..=20).map(|number| publish(&hub, number)).collect();
    let other: Offset = "aaaaaaaaaaaa-3".parse().unwrap();
    let beyond = Offset {
        number: 21,
        ..offsets[0]
    };
    // since -> recovered, backlog
    let cases = [
        (None, false, numbers(20..=20)),
        (Some(offsets[19]), true, vec![]),
        (Some(offsets[18]), true, numbers(20..=20)),
        (Some(offsets[9]), true, numbers(11..=20)),
        (Some(offsets[8]), false, numbers(11..=20)),
        (Some(other), false, numbers(11..=20)),
        (Some(beyond), false, numbers(11..=20)),
    ];
    for (since, recovered, backlog) in cases {
        let mut listener = connect(&hub);
        let joined = join(&hub, &listener, since).await;
        assert_eq!(joined.offset, offsets[19], "{since:?}");
        assert_eq!(joined.recovered, recovered, "{since:?}");
        let told = listener.messages(backlog.len()).await;
        assert_eq!(told, backlog, "{since:?}");
        assert!(listener.told.try_recv().is_err(), "{since:?}: more came");
        hub.disconnect(&listener.client);
    }
}

#[tokio::test]
async fn a_member_that_joins_again_has_missed_what_it_was_not_sent() {
    /// What a client joins with first, of the offsets there are.
    type First = fn(&[Offset]) -> Option<Offset>;
    // joins first with -> backlog, and what joining again says to each offset
    let cases: [(First, &[&str], [bool; 5]); 3] = [
        (|_| None, &["4"], [false, false, false, true, true]),
        (
            |offsets| Some(offsets[1]),
            &["3", "4"],
            [false, true, true, true, true],
        ),
        (
            |_| "aaaaaaaaaaaa-3".parse().ok(),
            &["1", "2", "3", "4"],
            [false, false, false, true, true],
        ),
    ];
    for (first, backlog, again) in cases {
        let hub = hub(10, &["last"]);
        let mut offsets: Vec<_> = (1..=4).map(|number| publish(&hub, number)).collect();
        let first = first(&offsets);
        let mut listener = connect(&hub);
        join(&hub, &listener, first).await;
        assert_eq!(listener.messages(backlog.len()).await, backlog, "{first:?}");
        offsets.push(publish(&hub, 5));
        listener.messages(1).await;
        for (since, recovered) in offsets.iter().zip(again) {
            let joined = join(&hub, &listener, Some(*since)).await;
            assert_eq!(joined.recovered, recovered, "{first:?}, {since}");
            assert_eq!(joined.offset, offsets[4]);
        }
        assert!(!join(&hub, &listener, None).await.recovered);
        assert!(listener.told.try_recv().is_err(), "nothing is sent again");
    }
}

#[tokio::test]
async fn a_backlog_leaves_room_in_the_queue() {
    let most = BACKLOG_MOST as u64;
    let hub = hub(1000, &[]);
    let first = publish(&hub, 1);
    for number in 2..=most + 2 {
        publish(&hub, number);
    }
    let mut listener = connect(&hub);
    let joined = join(&hub, &listener, Some(first)).await;
    assert!(!joined.recovered);
    assert_eq!(listener.messages(BACKLOG_MOST).await, numbers(3..=most + 2));
}

#[tokio::test]
async fn retained_events_come_in_order_and_once() {
    let hub = hub(0, &["song", "current"]);
    publish_kept(&hub, 1, &["song", "current"]);
    for (number, keys, backlog) in [
        (2, &["current"][..], vec!["1", "2"]),
        (3, &["current"][..], vec!["1", "3"]),
        (4, &["song", "current"][..], vec!["4"]),
    ] {
        publish_kept(&hub, number, keys);
        let mut listener = connect(&hub);
        join(&hub, &listener, None).await;
        assert_eq!(listener.messages(backlog.len()).await, backlog);
        assert!(listener.told.try_recv().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joins_amid_events_lose_and_double_nothing() {
    const EVENTS: u64 = 3_000;
    let hub = hub(BACKLOG_MOST, &[]);
    let start = publish(&hub, 0);
    let publisher = tokio::spawn({
        let hub = hub.clone();
        async move {
            for number in 1..=EVENTS {
                while let Err(error) = try_publish(&hub, number, &[]) {
                    assert_eq!(error.code(), "busy");
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut joiners = Vec::new();
    for _ in 0..600 {
        let hub = hub.clone();
        joiners.push(tokio::spawn(async move {
            let mut listener = connect(&hub);
            let joined = join(&hub, &listener, Some(start)).await;
            let mut seen = Vec::new();
            while seen.last() != Some(&EVENTS) && joined.offset.number <= EVENTS {
                seen.push(listener.messages(1).await[0].parse().unwrap());
            }
            if joined.recovered && !seen.is_empty() {
                assert_eq!(seen, (1..=EVENTS).collect::<Vec<_>>());
            }
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            hub.disconnect(&listener.client);
        }));
        tokio::task::yield_now().await;
    }
    publisher.await.unwrap();
    for joiner in joiners {
        joiner.await.unwrap();
    }
    hub.stop();
    hub.drained().await;
    assert_eq!(hub.client_count(), 0);
}

#[tokio::test]
async fn rules_have_codes() {
    let hub = hub(0, &[]);
    let listener = connect(&hub);
    let refused = |name: &str| {
        let joined = hub.join(&listener.client, &room(name), None, None, |_| ());
        joined.err().map(|error| error.code())
    };
    assert_eq!(refused("a"), None);
    assert_eq!(refused("a"), None, "twice is once");
    assert_eq!((refused("b"), refused("c")), (None, None));
    assert_eq!(refused("d"), Some("too_many_rooms"));
    let left = hub.leave(&listener.client, &room("d"), || ());
    assert_eq!(left.unwrap_err().code(), "not_in_room");

    let told = Arc::new(Mutex::new(Vec::new()));
    for (name, message) in [("a", "x".repeat(80)), ("d", String::new())] {
        let told = told.clone();
        hub.notify(
            &listener.client,
            room(name),
            to_raw_value(&message).unwrap(),
            Box::new(move |done| told.lock().unwrap().push(done.unwrap_err().code())),
        );
    }
    assert_eq!(*told.lock().unwrap(), ["too_big", "not_in_room"]);

    let code = (0..1000).find_map(|_| refused("a"));
    assert_eq!(code, Some("too_fast"));
}

#[tokio::test]
async fn a_client_hears_the_others_not_itself() {
    let hub = hub(0, &[]);
    let (mut anna, mut ben) = (connect(&hub), connect(&hub));
    join(&hub, &anna, None).await;
    join(&hub, &ben, None).await;
    for (from, text) in [(&anna, "1"), (&ben, "2")] {
        let message = RawValue::from_string(text.into()).unwrap();
        hub.notify(&from.client, room("r"), message, Box::new(|_| ()));
    }
    assert_eq!(ben.messages(1).await, ["1"]);
    assert_eq!(anna.messages(1).await, ["2"]);
    assert!(anna.told.try_recv().is_err() && ben.told.try_recv().is_err());
}

#[tokio::test]
async fn stopping_tells_everybody_and_takes_nobody() {
    let hub = hub(0, &[]);
    let mut listener = connect(&hub);
    hub.stop();
    let told = listener.told.recv().await;
    assert_eq!(told, Some(Told::Closed(CloseReason::Stopping)));
    let (tx, _rx) = mpsc::unbounded_channel();
    let namespace = NamespaceName::parse("/n").unwrap();
    let refused = hub.connect(&namespace, Arc::new(Recorder(tx)));
    assert_eq!(refused.err().map(|error| error.code()), Some("closing"));
}

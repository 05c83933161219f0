//! The hub by itself: here its rules; backlogs, budgets and turns are below.

mod created;
mod crowd;
mod damaged;
mod durable;
mod feed;
mod kept;
mod lobby;
mod panics;
mod recovery;
mod rooms;
mod scribe;
mod shared;
mod turns;

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use roomcast::core::broker::Memory;
use roomcast::core::client::Client;
use roomcast::core::error::Error;
use roomcast::core::event::{Event, Offset, To};
use roomcast::core::hub::{Granted, Hub, Outside};
use roomcast::core::name::{NamespaceName, Nickname, RoomName};
use roomcast::core::namespace::{Limits, Namespace, Protocol, PublishFrom, Publisher, Rooms, Verb};
use roomcast::core::outlet::{BACKLOG_MOST, CloseReason, Outlet};
use roomcast::core::room::Joined;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{mpsc, oneshot};

/// What an outlet was told, in order.
#[derive(Debug, PartialEq)]
enum Told {
    Event(String),
    Lost(RoomName),
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

    fn lost(&self, room: &RoomName) -> Result<(), CloseReason> {
        let _ = self.0.send(Told::Lost(room.clone()));
        Ok(())
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
        publish_from: PublishFrom::Members,
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
        publish_token: None,
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

/// What a hub of one node answers.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("one node asks nobody")
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
    rx.await.unwrap().unwrap()
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
            to: To::Everybody,
            message,
            retain,
            granted: Granted::default(),
            same: None,
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
            to_raw_value(&message).unwrap().into(),
            Box::new(move |done| told.lock().unwrap().push(done.unwrap_err().code())),
        );
    }
    assert_eq!(*told.lock().unwrap(), ["too_big", "not_in_room"]);

    assert_eq!((0..1000).find_map(|_| refused("a")), None);
    assert!(
        listener.client.ready_at().is_some(),
        "read later, not refused"
    );
}

#[tokio::test]
async fn a_client_hears_the_others_not_itself() {
    let hub = hub(0, &[]);
    let (mut anna, mut ben) = (connect(&hub), connect(&hub));
    join(&hub, &anna, None).await;
    join(&hub, &ben, None).await;
    for (from, text) in [(&anna, "1"), (&ben, "2")] {
        let message = RawValue::from_string(text.into()).unwrap();
        hub.notify(&from.client, room("r"), message.into(), Box::new(|_| ()));
    }
    assert_eq!(ben.messages(1).await, ["1"]);
    assert_eq!(anna.messages(1).await, ["2"]);
    assert!(anna.told.try_recv().is_err() && ben.told.try_recv().is_err());
}

#[tokio::test]
async fn stopping_tells_everybody_and_takes_nobody() {
    let hub = hub(0, &[]);
    let mut listener = connect(&hub);
    hub.stop().await;
    let told = listener.told.recv().await;
    assert_eq!(told, Some(Told::Closed(CloseReason::Stopping)));
    let (tx, _rx) = mpsc::unbounded_channel();
    let namespace = NamespaceName::parse("/n").unwrap();
    let refused = hub.connect(&namespace, Arc::new(Recorder(tx)));
    assert_eq!(refused.err().map(|error| error.code()), Some("closing"));
}

//! Somebody at each door that a room can be heard at. Knows what their clients see,
//! and nothing of who publishes.

use serde_json::{Value, json};

use super::nodes::are_in;
use crate::client::Client;
use crate::conformance::{Peer, WAYS};
use crate::push::Subscriber;
use crate::server::TestServer;
use crate::source::Source;
use crate::webhook;

/// One who listens, and the door.
pub struct Ear<'a> {
    door: String,
    by: By<'a>,
}

enum By<'a> {
    /// With what stands before an event.
    SocketIo(Peer<'a>, String),
    /// Each frame is an event.
    Raw(Client),
    /// Each frame is a message.
    Tracks(Client),
    Events(Box<Source>),
    Webhook(webhook::Client),
    Channel(Subscriber),
}

/// What was heard: an event, or only what it says.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Event(Value),
    Message(Value),
}

impl Heard {
    pub fn message(&self) -> &Value {
        match self {
            Self::Event(event) => &event["message"],
            Self::Message(message) => message,
        }
    }
}

impl<'a> Ear<'a> {
    fn new(door: impl ToString, by: By<'a>) -> Self {
        let door = door.to_string();
        Self { door, by }
    }

    /// A subscriber of a channel that it hears alone.
    pub async fn of_channel(server: &TestServer, channel: &str) -> (Self, String) {
        let subscriber = Subscriber::of(server, channel).await;
        let uuid = subscriber.uuid.clone();
        (Self::new("push", By::Channel(subscriber)), uuid)
    }

    /// A client of the webhook door, whose backend puts it into the room.
    pub async fn of_backend(server: &TestServer) -> Self {
        let (address, _) = server.webhook.unwrap();
        let client = webhook::Client::connect(address).await.unwrap();
        Self::new("webhook", By::Webhook(client))
    }

    /// The next that it hears.
    pub async fn hears(&mut self) -> Heard {
        match &mut self.by {
            By::SocketIo(peer, start) => {
                let rest = peer.hears(start).await;
                Heard::Event(parse(rest.strip_suffix(']').unwrap()))
            }
            By::Raw(client) => Heard::Event(parse(&frame(client).await)),
            By::Tracks(client) => Heard::Message(parse(&frame(client).await)),
            By::Events(source) => {
                let told = source.told().await;
                assert_eq!(told.event, "message", "{}", told.data);
                assert_eq!(source.last_id, told.data["offset"]);
                Heard::Event(told.data)
            }
            By::Webhook(client) => Heard::Event(parse(&client.text().await)),
            By::Channel(subscriber) => {
                let mut push: Value = parse(&subscriber.hears().await);
                assert_eq!(push["messageType"], "CLIENT_PUSH", "{push}");
                Heard::Message(push["data"]["pushMessage"]["message"].take())
            }
        }
    }
}

/// Those who listen to one room.
pub struct Ears<'a>(Vec<Ear<'a>>);

impl<'a> Ears<'a> {
    /// One at each door that lets everybody listen; all are in the room.
    pub async fn open(server: &'a TestServer, namespace: &str, room: &str) -> Self {
        let mut ears = Vec::new();
        for way in WAYS {
            let mut peer = Peer::connected(server, way, namespace).await;
            let asked = json!({"room": room, "name": "anna"});
            let join = format!(r#"42{namespace},0["JOIN",{asked}]"#);
            peer.send(&[&join]).await;
            let joined = format!(r#"43{namespace},0[{{"status":"ok""#);
            peer.hears(&joined).await;
            let start = format!(r#"42{namespace},["EVENT","#);
            ears.push(Ear::new(format!("{way:?}"), By::SocketIo(peer, start)));
        }
        let target = format!("/events{namespace}/{room}");
        let mut source = Source::open(server.address, &target, "").await;
        assert_eq!(source.told().await.event, "joined");
        ears.push(Ear::new("events", By::Events(source.into())));
        let bare = namespace.trim_start_matches('/');
        let target = format!("/ws?target={bare}&room={room}");
        let raw = Client::websocket_at(server.address, &target, &[]).await;
        let by = match bare {
            "metadata" => By::Tracks(raw),
            _ => By::Raw(raw),
        };
        ears.push(Ear::new("raw", by));
        are_in(server, namespace, room, ears.len()).await;
        Self(ears)
    }

    pub fn add(&mut self, ear: Ear<'a>) {
        self.0.push(ear);
    }

    pub fn many(&self) -> usize {
        self.0.len()
    }

    /// The next event, which is the same for all of them.
    pub async fn hear(&mut self) -> Value {
        let mut event = Value::Null;
        for ear in &mut self.0 {
            match ear.hears().await {
                Heard::Event(heard) if event.is_null() => event = heard,
                Heard::Event(heard) => assert_eq!(heard, event, "{}", ear.door),
                Heard::Message(heard) => assert_eq!(heard, event["message"], "{}", ear.door),
            }
        }
        event
    }

    /// The same so many times.
    pub async fn hear_all(&mut self, many: usize) -> Vec<Value> {
        let mut events = Vec::new();
        for _ in 0..many {
            events.push(self.hear().await);
        }
        events
    }
}

/// The number of an event's offset.
pub fn number(event: &Value) -> u64 {
    let (_, number) = event["offset"].as_str().unwrap().split_once('-').unwrap();
    number.parse().unwrap()
}

async fn frame(client: &mut Client) -> String {
    client.any_packet().await.expect("the connection ended")
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

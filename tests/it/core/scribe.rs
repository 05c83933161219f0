//! A hub that is one node of many; the others are the test: it is told what they
//! would be, and answers in their place. Knows no broker that there is.

use futures_util::future::{BoxFuture, FutureExt, ready};
use roomcast::core::broker::{Broker, BrokerStatus, Cluster, Done, Presence, Told as Listed};
use roomcast::core::client::ClientKey;
use roomcast::core::event::Publication;
use roomcast::core::hub::Entered;
use roomcast::core::name::RoomId;
use roomcast::core::presence::Page;
use roomcast::core::terms::Terms;
use roomcast::core::token::TokenHash;

use super::*;

/// What the other nodes are told.
#[derive(Debug, PartialEq)]
pub enum Said {
    Enters(ClientKey),
    Exits(ClientKey),
    Publishes,
}

/// Writes down what it is told; the test answers in its place.
#[derive(Clone, Default)]
pub struct Scribe(Arc<Mutex<Vec<Said>>>);

impl Scribe {
    fn notes(&self, said: Said) {
        self.0.lock().unwrap().push(said);
    }

    /// What it was told since it was asked last.
    pub fn said(&self) -> Vec<Said> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Broker for Scribe {
    fn publish(&self, _: &Arc<Hub>, _: Publication, _: Done) {
        self.notes(Said::Publishes);
    }

    fn status(&self) -> BrokerStatus {
        Memory.status()
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }
}

impl Cluster for Scribe {
    fn follow(&self, _: RoomId) {}

    fn is_busy(&self) -> bool {
        false
    }

    fn enter(&self, _: RoomId, who: Presence) {
        self.notes(Said::Enters(who.key));
    }

    fn exit(&self, _: RoomId, who: Presence) {
        self.notes(Said::Exits(who.key));
    }

    fn clients(&self, _: RoomId, _: Page, told: Listed) {
        told(Err(Error::Alone));
    }

    fn terms(&self, _: RoomId) -> BoxFuture<'static, Result<Option<Terms>, Error>> {
        ready(Err(Error::Alone)).boxed()
    }

    fn create(&self, _: RoomId, _: Terms) -> BoxFuture<'static, Result<(), Error>> {
        ready(Err(Error::Alone)).boxed()
    }

    fn ask(&self, _: RoomId, _: String) -> BoxFuture<'static, Result<String, Error>> {
        ready(Err(Error::Alone)).boxed()
    }

    fn delete(&self, _: RoomId, _: TokenHash) -> BoxFuture<'static, Result<(), Error>> {
        ready(Err(Error::Alone)).boxed()
    }
}

/// A hub whose other nodes are the test.
pub struct Node {
    pub hub: Arc<Hub>,
    pub others: Scribe,
    /// What clients are answered, in order.
    answers: mpsc::UnboundedReceiver<String>,
    answer: mpsc::UnboundedSender<String>,
}

pub fn id() -> RoomId {
    RoomId {
        namespace: NamespaceName::parse("/n").unwrap(),
        room: room("r"),
    }
}

impl Node {
    pub fn new(spec: Namespace) -> Self {
        let others = Scribe::default();
        let (answer, answers) = mpsc::unbounded_channel();
        Self {
            hub: Hub::new(vec![spec], others.clone()),
            others,
            answers,
            answer,
        }
    }

    pub fn joins(&self, client: &Arc<Client>) {
        self.joins_as(client, None);
    }

    pub fn joins_as(&self, client: &Arc<Client>, name: Option<&str>) {
        let name = name.map(|name| Nickname::parse(name).unwrap());
        let answer = self.answer.clone();
        let welcome = move |joined: Result<Joined, Error>| {
            let said = joined.map_or_else(|error| error.code(), |_| "in");
            drop(answer.send(said.to_owned()));
        };
        let room = room("r");
        self.hub.join(client, &room, name, None, welcome).unwrap();
    }

    pub fn leaves(&self, client: &Arc<Client>) {
        let answer = self.answer.clone();
        let farewell = move || drop(answer.send("out".to_owned()));
        self.hub.leave(client, &room("r"), farewell).unwrap();
    }

    /// The other nodes know of it, or do not let it in.
    pub fn entered(&self, client: &Client, refused: Option<Error>) {
        let entered = refused.map_or(Entered::In(None), Entered::Refused);
        self.hub.entered(&id(), client.key(), entered);
    }

    pub async fn answered(&mut self, expected: &[&str]) {
        for answer in expected {
            assert_eq!(self.answers.recv().await.as_deref(), Some(*answer));
        }
    }

    /// The clients that are in the room, as the hub and as they themselves know it.
    pub fn are_in(&self, clients: &[&Arc<Client>], expected: &[bool]) {
        let present = self.hub.present(&id());
        let is_present = |client: &&Arc<Client>| present.iter().any(|who| who.key == client.key());
        let by_hub: Vec<_> = clients.iter().map(is_present).collect();
        let by_client: Vec<_> = clients.iter().map(|c| c.room().is_some()).collect();
        assert_eq!((by_hub, by_client), (expected.to_vec(), expected.to_vec()));
    }
}

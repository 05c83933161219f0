//! The hub: the four things that can be done, in all namespaces.
//! Every rule is enforced here, once, whatever door a client came by; what the
//! rules are stands in `rules`, what a store asks for in `stored`, and what becomes
//! of rooms that backends create in `created`, and of those that clients have to
//! themselves in `own`.

mod created;
mod own;
mod shared;
mod stored;

pub use created::{Deleter, Granted};
pub use shared::Entered;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::area::Area;
use super::broker::{Broker, BrokerStatus, Done, Told};
use super::client::Client;
use super::durable::{Forgetful, Keeper, Snapshot};
use super::error::Error;
use super::event::{Kind, Offset, Order, Publication, Same, To};
use super::name::{NamespaceName, Nickname, RoomName};
use super::namespace::{Namespace, PublishFrom, Publisher, Rooms, Verb};
use super::outlet::{CloseReason, Outlet};
use super::presence::Page;
use super::room::{Joined, Newcomer, Refused, Room, Welcome};
use super::roster::Roster;
use super::rules;
use super::source::ClientOrigin;

/// Something that a client sends to others.
#[derive(Debug)]
pub struct Notice {
    /// What it is.
    pub kind: Kind,
    /// The one that it is for, if not all: a member of a lobby, by its name.
    pub to: Option<Nickname>,
    /// Passed through as it is.
    pub message: Box<RawValue>,
}

impl From<Box<RawValue>> for Notice {
    /// A message to all others.
    fn from(message: Box<RawValue>) -> Self {
        Self {
            kind: Kind::Message,
            to: None,
            message,
        }
    }
}

/// Something published by what is not a client: a feed, or a backend.
#[derive(Debug)]
pub struct Outside<'a> {
    /// What kind of publisher this is.
    pub publisher: Publisher,
    /// The namespace of the room.
    pub namespace: &'a NamespaceName,
    /// The room.
    pub room: RoomName,
    /// Who publishes, as clients see it.
    pub sender: Nickname,
    /// Whom it is for.
    pub to: To,
    /// Passed through as it is.
    pub message: Box<RawValue>,
    /// Under which retain keys the room keeps it; empty: the room's first key.
    pub retain: &'static [&'static str],
    /// By what it may be published, where that was asked.
    pub granted: Granted,
    /// What it has in common with the same thing said to another node; none: it is
    /// not said to any other.
    pub same: Option<Same>,
}

/// The guard of [`Hub::forget_on_panic`].
pub struct ForgetOnPanic(Arc<Hub>, Arc<Client>);

impl Drop for ForgetOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.forget(&self.1);
        }
    }
}

/// All namespaces with their rooms and clients.
pub struct Hub {
    areas: BTreeMap<NamespaceName, Arc<Area>>,
    broker: Box<dyn Broker>,
    tasks: TaskTracker,
    roster: Roster,
}

impl Hub {
    /// A hub with these namespaces, no clients yet, and nothing that outlives it.
    pub fn new(namespaces: Vec<Namespace>, broker: impl Broker) -> Arc<Self> {
        Self::durable(namespaces, broker, Arc::new(Forgetful), Vec::new())
    }

    /// A hub whose durable rooms are as `stored` says; `keeper` is told of what
    /// changes in them.
    ///
    /// What is stored of a room that no durable namespace has is left out.
    pub fn durable(
        namespaces: Vec<Namespace>,
        broker: impl Broker,
        keeper: Arc<dyn Keeper>,
        stored: Vec<Snapshot>,
    ) -> Arc<Self> {
        let shared = broker.cluster().is_some();
        let area = |spec: Namespace| {
            let name = spec.name.clone();
            (name, Arc::new(Area::new(spec, &keeper, shared)))
        };
        let areas: BTreeMap<_, _> = namespaces.into_iter().map(area).collect();
        let hub = Self {
            areas,
            broker: Box::new(broker),
            tasks: TaskTracker::new(),
            roster: Roster::default(),
        };
        hub.restore(stored);
        Arc::new(hub)
    }

    /// The namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.areas.values().map(|area| &area.spec)
    }

    /// How many clients are connected, in all namespaces.
    pub fn client_count(&self) -> usize {
        self.roster.count()
    }

    /// How many rooms each namespace has.
    pub fn room_counts(&self) -> impl Iterator<Item = (&NamespaceName, usize)> {
        self.areas.iter().map(|(name, area)| (name, area.count()))
    }

    /// The state of the broker.
    pub fn broker_status(&self) -> BrokerStatus {
        self.broker.status()
    }

    /// As [`Hub::connect_from`], for a client that counts against no address's limits.
    ///
    /// # Errors
    /// The namespace is unknown or reserved, or the server is stopping.
    pub fn connect(
        &self,
        namespace: &NamespaceName,
        outlet: Arc<dyn Outlet>,
    ) -> Result<Arc<Client>, Error> {
        self.connect_from(namespace, outlet, ClientOrigin::default())
    }

    /// Takes a client into a namespace; `outlet` makes its outbound half.
    ///
    /// # Errors
    /// The namespace is unknown or reserved, or the server is stopping.
    pub fn connect_from(
        &self,
        namespace: &NamespaceName,
        outlet: Arc<dyn Outlet>,
        origin: ClientOrigin,
    ) -> Result<Arc<Client>, Error> {
        self.roster.add(self.area(namespace)?, outlet, origin)
    }

    /// Forgets a client whose connection has ended; it leaves all its rooms.
    pub fn disconnect(&self, client: &Client) {
        let rooms = {
            let mut state = client.lock();
            if std::mem::replace(&mut state.gone, true) {
                return;
            }
            std::mem::take(&mut state.rooms)
        };
        for room in rooms.values() {
            self.leaves(client, room, || ());
        }
        self.roster.remove(client);
    }

    /// The same in a moment, from wherever it is called.
    ///
    /// Without a runtime there is nobody left to be told.
    pub fn forget(self: &Arc<Self>, client: &Arc<Client>) {
        if let Ok(runtime) = Handle::try_current() {
            let (hub, client) = (self.clone(), client.clone());
            let forget = async move { hub.disconnect(&client) };
            self.tasks.spawn_on(forget, &runtime);
        }
    }

    /// Returns a guard that disconnects the client if the task that holds it panics.
    #[must_use]
    pub fn forget_on_panic(self: &Arc<Self>, client: &Arc<Client>) -> ForgetOnPanic {
        ForgetOnPanic(self.clone(), client.clone())
    }

    /// Lets the client join a room; `welcome` comes before the backlog, or with the
    /// reason why the other nodes do not let it in.
    ///
    /// `since` is the last offset that the client has seen of the room. Who is a
    /// member already stays one: it gets the answer, and no backlog.
    ///
    /// # Errors
    /// A rule of the namespace forbids it; then `welcome` is not called.
    pub fn join(
        &self,
        client: &Arc<Client>,
        room: &RoomName,
        name: Option<Nickname>,
        since: Option<Offset>,
        welcome: impl FnOnce(Result<Joined, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        rules::admit(client, Verb::Join, 1)?;
        let name = rules::joins_as(client, room, name)?;
        let mut state = client.lock();
        rules::has_place(&state, room, &client.area.spec)?;
        let mut welcome: Welcome = Box::new(welcome);
        loop {
            let open = client.area.open_for(client, room)?;
            let newcomer = Newcomer {
                client: client.clone(),
                name: name.clone(),
                since,
            };
            match self.comes(newcomer, &open, welcome) {
                Ok(()) => {
                    state.rooms.insert(room.clone(), open);
                    if client.area.spec.publish_from == PublishFrom::Anyone {
                        state.last_name = Some(name);
                    }
                    return Ok(());
                }
                Err((Refused::Closed, unused)) => welcome = unused,
                Err((refused, _)) => return Err(refused.at_joining()),
            }
        }
    }

    /// Lets a client into a room, at once or once the other nodes know of it.
    fn comes(
        &self,
        newcomer: Newcomer,
        room: &Arc<Room>,
        welcome: Welcome,
    ) -> Result<(), (Refused, Welcome)> {
        match self.broker.cluster() {
            None => room.join(newcomer, welcome, &self.tasks),
            Some(cluster) => self.arrives(cluster, newcomer, room, welcome),
        }
    }

    /// Lets a client go; `farewell` comes behind its last event.
    fn leaves(&self, client: &Client, room: &Arc<Room>, farewell: impl FnOnce() + Send + 'static) {
        let departed = room.leave(client.key(), Box::new(farewell), &self.tasks);
        if let (Some(cluster), Some(who)) = (self.broker.cluster(), departed.exits) {
            cluster.exit(client.area.id(&room.name), who);
        }
        if departed.is_empty {
            client.area.emptied(room);
        }
    }

    /// Lets the client leave a room; `farewell` comes behind its last event.
    ///
    /// # Errors
    /// The client is not in the room, or a rule forbids it.
    pub fn leave(
        &self,
        client: &Arc<Client>,
        room: &RoomName,
        farewell: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        rules::admit(client, Verb::Leave, 1)?;
        let left = client.lock().rooms.remove(room);
        let left = left.ok_or_else(|| client.area.why_not_in(room))?;
        self.leaves(client, &left, farewell);
        Ok(())
    }

    /// Publishes a client's message to the others of a room, or to one of them by its name.
    /// The client must be in the room, unless the namespace lets anyone publish.
    pub fn notify(
        self: &Arc<Self>,
        client: &Arc<Client>,
        room: RoomName,
        Notice { kind, to, message }: Notice,
        done: Done,
    ) {
        let area = &client.area;
        let mut target = client.lock().rooms.get(&room).cloned();
        let mut allowed = || {
            rules::admit(client, Verb::Notify, rules::message_cost(&message))?;
            let member = target.as_ref().and_then(|room| room.name_of(client.key()));
            let is_member = member.is_some();
            let sender = rules::may_notify(client, &room, member, &message)?;
            if !is_member {
                target = area.open_to_publish(client, &room)?;
            }
            Ok(sender)
        };
        match allowed() {
            Ok(sender) => self.broker.publish(
                self,
                Publication {
                    namespace: area.spec.name.clone(),
                    room,
                    kind,
                    sender,
                    to: to.map_or(To::Everybody, To::Peer),
                    message,
                    origin: Some(client.key()),
                    retain: Vec::new(),
                    token: None,
                    id: None,
                    same: None,
                },
                done,
            ),
            Err(error) => return done(Err(error)),
        }
        if let Some(room) = target {
            rules::relieve(client, room.pressure());
        }
    }

    /// Publishes what a feed or a backend says.
    pub fn publish(self: &Arc<Self>, from: Outside<'_>, done: Done) {
        let allowed = || {
            let area = self.area(from.namespace)?;
            let spec = &area.spec;
            if spec.rooms == Rooms::Created && from.granted.0.is_none() {
                return Err(Error::TokenNeeded(from.room.to_string()));
            }
            rules::may_publish(spec, from.publisher, &from.room, &from.message)?;
            area.check_known(&from.room)
        };
        match allowed() {
            Ok(()) => self.broker.publish(
                self,
                Publication {
                    namespace: from.namespace.clone(),
                    room: from.room,
                    kind: Kind::Message,
                    sender: from.sender,
                    to: from.to,
                    message: from.message,
                    origin: None,
                    retain: from.retain.iter().map(ToString::to_string).collect(),
                    token: from.granted.0,
                    id: None,
                    same: from.same,
                },
                done,
            ),
            Err(error) => done(Err(error)),
        }
    }

    /// Answers with a page of the clients in a room, on all nodes; the page is empty if the
    /// room does not exist. The names of a page count as events as well.
    ///
    /// # Errors
    /// The namespace shows nobody, or a rule forbids it; then `told` is not called.
    pub fn clients_of(
        &self,
        client: &Arc<Client>,
        room: &RoomName,
        page: Page,
        told: Told,
    ) -> Result<(), Error> {
        rules::admit(client, Verb::Clients, 1)?;
        rules::shows_clients(&client.area.spec)?;
        let asking = client.clone();
        let told: Told = Box::new(move |found| {
            if let Ok(page) = &found {
                rules::charge_answer(&asking, page.cost());
            }
            told(found);
        });
        match self.broker.cluster() {
            Some(cluster) => cluster.clients(client.area.id(room), page, told),
            None => told(Ok(client.area.clients(room, page))),
        }
        Ok(())
    }

    /// Gives a publication to its room. Called by the broker, on every node.
    ///
    /// # Errors
    /// The room can't be opened, has more to deliver than it can hold, or the
    /// namespace can't retain any more.
    pub fn deliver(&self, publication: Publication, order: Order) -> Result<Offset, Error> {
        let area = self.area(&publication.namespace)?;
        let offset = match &publication.to {
            To::These(clients) => {
                let these = self.roster.keys_of(clients);
                area.tell_these(&these, publication, order, &self.tasks)?
            }
            To::Everybody | To::Peer(_) => {
                let room = publication.room.clone();
                let published = area.deliver(publication, order, &self.tasks)?;
                self.have_arrived(area, &room, published.arrived);
                published.offset
            }
        };
        metrics::counter!("roomcast_events_total", "namespace" => area.spec.name.to_string())
            .increment(1);
        Ok(offset)
    }

    /// Charges the client for a message that its transport answers or drops without the hub.
    ///
    /// # Errors
    /// The client is gone.
    pub fn charge(&self, client: &Client) -> Result<(), Error> {
        rules::may_send(client)
    }

    /// Ends a client's connection, telling it why.
    pub fn close(&self, client: &Client, reason: CloseReason) {
        client.close(reason);
    }

    /// Takes no more clients, and closes those there are, telling them why.
    pub async fn stop(&self) {
        self.roster.stop().await;
        self.tasks.close();
    }

    /// Whether [`Hub::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.roster.is_stopping()
    }

    /// Waits until nothing is being delivered any more, once it was stopped.
    pub async fn drained(&self) {
        self.tasks.wait().await;
    }

    /// Why no client is taken into this namespace, if that is so.
    pub fn refusal(&self, namespace: &NamespaceName) -> Option<Error> {
        self.area(namespace).err()
    }

    fn area(&self, namespace: &NamespaceName) -> Result<&Arc<Area>, Error> {
        let area = self
            .areas
            .get(namespace)
            .ok_or_else(|| Error::UnknownNamespace(namespace.to_string()))?;
        match &area.spec.reserved {
            None => Ok(area),
            Some(why) => Err(Error::Reserved {
                namespace: namespace.to_string(),
                why: why.clone(),
            }),
        }
    }
}

//! The hub: the four things that can be done, and who may do them.
//! Every rule is enforced here, once, whatever door a client came by.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::value::RawValue;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::area::Area;
use super::broker::{Broker, BrokerStatus, Done};
use super::client::{Client, ClientKey};
use super::error::Error;
use super::event::{Offset, Publication};
use super::name::{NamespaceName, Nickname, RoomName};
use super::namespace::{Namespace, Publisher, Verb};
use super::outlet::{CloseReason, Outlet};
use super::room::{Joined, Refused};

/// The most names that CLIENTS lists; the total is exact all the same.
pub const NAMES_MOST: usize = 1_000;

/// How deeply a message may be nested: what serde_json itself reads.
///
/// Some SDKs' parsers recurse, and a message must not end those who get it.
const DEPTH_MOST: usize = 128;

/// Who is in a room.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Up to [`NAMES_MOST`] names, those who came first.
    pub names: Vec<Nickname>,
    /// How many clients are in the room.
    pub total: usize,
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
    /// Passed through as it is.
    pub message: Box<RawValue>,
    /// Under which retain keys the room keeps it; empty: the room's first key.
    pub retain: &'static [&'static str],
}

/// All namespaces with their rooms and clients.
pub struct Hub {
    areas: BTreeMap<NamespaceName, Arc<Area>>,
    broker: Box<dyn Broker>,
    tasks: TaskTracker,
    next_key: AtomicU64,
    stopping: AtomicBool,
    /// Guards who is connected; held to add, remove or copy the list only.
    clients: Mutex<HashMap<ClientKey, Arc<Client>>>,
}

impl Hub {
    /// A hub with these namespaces, and no clients yet.
    pub fn new(namespaces: Vec<Namespace>, broker: impl Broker) -> Arc<Self> {
        let area = |spec: Namespace| (spec.name.clone(), Arc::new(Area::new(spec)));
        Arc::new(Self {
            areas: namespaces.into_iter().map(area).collect(),
            broker: Box::new(broker),
            tasks: TaskTracker::new(),
            next_key: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            clients: Mutex::default(),
        })
    }

    /// The namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.areas.values().map(|area| &area.spec)
    }

    /// How many clients are connected, in all namespaces.
    pub fn client_count(&self) -> usize {
        self.clients().len()
    }

    /// How many rooms each namespace has.
    pub fn room_counts(&self) -> impl Iterator<Item = (&NamespaceName, usize)> {
        self.areas.iter().map(|(name, area)| (name, area.count()))
    }

    /// The state of the broker.
    pub fn broker_status(&self) -> BrokerStatus {
        self.broker.status()
    }

    /// Takes a client into a namespace; `outlet` makes its outbound half.
    ///
    /// # Errors
    /// The namespace is unknown or reserved, or the server is stopping.
    pub fn connect(
        &self,
        namespace: &NamespaceName,
        outlet: Arc<dyn Outlet>,
    ) -> Result<Arc<Client>, Error> {
        let area = self.area(namespace)?;
        let key = ClientKey(self.next_key.fetch_add(1, Ordering::Relaxed));
        let client = Arc::new(Client::new(key, area.clone(), outlet));
        {
            let mut clients = self.clients();
            // Under the lock, so that `stop` sees every client that came before it.
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Error::Closing);
            }
            clients.insert(key, client.clone());
        }
        metrics::gauge!("roomcast_clients", "namespace" => namespace.to_string()).increment(1);
        debug!(client = %client.id(), %namespace, "connected");
        Ok(client)
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
            if room.leave(client.key(), Box::new(|| ()), &self.tasks) {
                client.area.emptied(room);
            }
        }
        self.clients().remove(&client.key());
        let namespace = &client.area.spec.name;
        metrics::gauge!("roomcast_clients", "namespace" => namespace.to_string()).decrement(1);
        debug!(client = %client.id(), %namespace, "disconnected");
    }

    /// Lets the client join a room; `welcome` comes before the backlog.
    ///
    /// `since` is the last offset that the client has seen of the room.
    ///
    /// # Errors
    /// A rule of the namespace forbids it; then `welcome` is not called.
    pub fn join(
        &self,
        client: &Arc<Client>,
        room: &RoomName,
        name: Option<Nickname>,
        since: Option<Offset>,
        welcome: impl FnOnce(Joined) + Send + 'static,
    ) -> Result<(), Error> {
        let spec = &client.area.spec;
        self.admit(client, Verb::Join)?;
        check_length("room", room.as_str(), spec.limits.room_chars)?;
        let name = match name {
            Some(name) => name,
            None if spec.nickname_required => {
                return Err(Error::NameRequired(spec.name.to_string()));
            }
            None => client.id().guest_name(),
        };
        check_length("name", name.as_str(), spec.limits.nickname_chars)?;

        let mut state = client.lock();
        if state.gone {
            return Err(Error::Closing);
        }
        if !state.rooms.contains_key(room) && state.rooms.len() >= spec.limits.rooms_per_client {
            return Err(Error::TooManyRooms(spec.limits.rooms_per_client));
        }
        let mut welcome = welcome;
        loop {
            let open = client.area.open(room)?;
            match open.join(client, name.clone(), since, welcome, &self.tasks) {
                Ok(()) => {
                    state.rooms.insert(room.clone(), open);
                    return Ok(());
                }
                Err((Refused::Busy, _)) => return Err(Error::Busy),
                Err((Refused::Closed, unused)) => welcome = unused,
            }
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
        self.admit(client, Verb::Leave)?;
        let left = client.lock().rooms.remove(room);
        let left = left.ok_or_else(|| Error::NotInRoom(room.to_string()))?;
        if left.leave(client.key(), Box::new(farewell), &self.tasks) {
            client.area.emptied(&left);
        }
        Ok(())
    }

    /// Publishes what a client sends to the others of a room it is in.
    pub fn notify(
        self: &Arc<Self>,
        client: &Arc<Client>,
        room: RoomName,
        message: Box<RawValue>,
        done: Done,
    ) {
        let allowed = || {
            self.admit(client, Verb::Notify)?;
            let spec = &client.area.spec;
            if !spec.publishers.contains(&Publisher::Clients) {
                return Err(not_allowed(Verb::Notify.as_str(), spec));
            }
            check_message(&message, spec)?;
            let joined = client.lock().rooms.get(&room).cloned();
            joined
                .and_then(|joined| joined.name_of(client.key()))
                .ok_or_else(|| Error::NotInRoom(room.to_string()))
        };
        match allowed() {
            Ok(sender) => self.broker.publish(
                self,
                Publication {
                    namespace: client.area.spec.name.clone(),
                    room,
                    sender,
                    message,
                    origin: Some(client.key()),
                    retain: &[],
                },
                done,
            ),
            Err(error) => done(Err(error)),
        }
    }

    /// Publishes what a feed or a backend says.
    pub fn publish(self: &Arc<Self>, from: Outside<'_>, done: Done) {
        let allowed = || {
            let spec = &self.area(from.namespace)?.spec;
            if !spec.publishers.contains(&from.publisher) {
                return Err(not_allowed("publish", spec));
            }
            check_length("room", from.room.as_str(), spec.limits.room_chars)?;
            check_message(&from.message, spec)
        };
        match allowed() {
            Ok(()) => self.broker.publish(
                self,
                Publication {
                    namespace: from.namespace.clone(),
                    room: from.room,
                    sender: from.sender,
                    message: from.message,
                    origin: None,
                    retain: from.retain,
                },
                done,
            ),
            Err(error) => done(Err(error)),
        }
    }

    /// Who is in a room. A room that nobody is in has nobody in it.
    ///
    /// # Errors
    /// The namespace shows nobody, or a rule forbids it.
    pub fn clients_of(&self, client: &Arc<Client>, room: &RoomName) -> Result<Clients, Error> {
        self.admit(client, Verb::Clients)?;
        let spec = &client.area.spec;
        if !spec.presence {
            return Err(not_allowed(Verb::Clients.as_str(), spec));
        }
        let (names, total) = match client.area.find(room) {
            Some(room) => room.names(NAMES_MOST),
            None => (Vec::new(), 0),
        };
        Ok(Clients { names, total })
    }

    /// Gives a publication to its room. Called by the broker, on every node.
    ///
    /// # Errors
    /// The room can't be opened, or has more to deliver than it can hold.
    pub fn deliver(&self, publication: Publication) -> Result<Offset, Error> {
        let area = self.area(&publication.namespace)?;
        let mut publication = publication;
        loop {
            let room = area.open(&publication.room)?;
            match room.publish(publication, &area.spec, &self.tasks) {
                Ok(offset) => {
                    let namespace = area.spec.name.to_string();
                    metrics::counter!("roomcast_events_total", "namespace" => namespace)
                        .increment(1);
                    if room.is_empty() {
                        area.emptied(&room);
                    }
                    return Ok(offset);
                }
                Err((Refused::Busy, _)) => return Err(Error::Busy),
                Err((Refused::Closed, unused)) => publication = unused,
            }
        }
    }

    /// Ends a client's connection, telling it why.
    pub fn close(&self, client: &Client, reason: CloseReason) {
        client.close(reason);
    }

    /// Takes no more clients, and closes those there are, telling them why.
    pub fn stop(&self) {
        let clients: Vec<_> = {
            let clients = self.clients();
            self.stopping.store(true, Ordering::Relaxed);
            clients.values().cloned().collect()
        };
        for client in clients {
            client.close(CloseReason::Stopping);
        }
        self.tasks.close();
    }

    /// Whether [`Hub::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Waits until nothing is being delivered any more, once it was stopped.
    pub async fn drained(&self) {
        self.tasks.wait().await;
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<ClientKey, Arc<Client>>> {
        self.clients.lock().expect("no code panics under this lock")
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

    /// Whether the client may send this verb, and not faster than allowed.
    fn admit(&self, client: &Client, verb: Verb) -> Result<(), Error> {
        let spec = &client.area.spec;
        let mut state = client.lock();
        if state.gone {
            return Err(Error::Closing);
        }
        if !state.may_send(&spec.limits) {
            return Err(Error::TooFast(spec.limits.events_per_second));
        }
        if !spec.verbs.contains(&verb) {
            return Err(not_allowed(verb.as_str(), spec));
        }
        Ok(())
    }
}

fn not_allowed(verb: &'static str, spec: &Namespace) -> Error {
    Error::NotAllowed {
        verb,
        namespace: spec.name.to_string(),
    }
}

fn check_length(what: &'static str, name: &str, most: usize) -> Result<(), Error> {
    if name.chars().count() > most {
        return Err(Error::NameTooLong { what, most });
    }
    Ok(())
}

fn check_message(message: &RawValue, spec: &Namespace) -> Result<(), Error> {
    let most = spec.limits.message_bytes;
    if message.get().len() > most {
        return Err(Error::TooBig(most));
    }
    if depth(message) > DEPTH_MOST {
        return Err(Error::TooDeep(DEPTH_MOST));
    }
    Ok(())
}

/// How deeply arrays and objects are nested in a message.
fn depth(message: &RawValue) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in message.get().bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_what_is_nested_and_no_text() {
        let cases = [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#""\"[[[\\""#, 0),
            ("[]", 1),
            (r#"[{"a":[1]},[]]"#, 3),
        ];
        for (json, expected) in cases {
            let message = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(depth(&message), expected, "{json}");
        }
    }
}

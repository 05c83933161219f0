//! The connections of the door by their ids: those that the backend has not answered
//! for yet, and those that are open. Knows no protocol.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::{oneshot, watch};

use super::early::{AllBytes, Early, EarlyError};
use super::id::Id;
use super::outlet::{self, RoomsOutlet, Way};
use super::protocol::About;
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomName};
use crate::core::namespace::{Namespace, Protocol};
use crate::core::room::Joined;

/// All connections, whether they are open yet or not.
#[derive(Default)]
pub(super) struct Connections {
    /// Guards which there are; held to add, find or remove one.
    known: Mutex<HashMap<Id, watch::Receiver<Phase>>>,
    early: AllBytes,
}

#[derive(Clone)]
enum Phase {
    /// The backend has not answered the `POST` yet; the frames that it writes meanwhile wait.
    Asked(Arc<Early>),
    Open(Arc<Connection>),
}

/// A connection's place among the others, until this is dropped.
pub(super) struct Place {
    all: Arc<Connections>,
    pub(super) id: Id,
    phase: watch::Sender<Phase>,
}

impl Connections {
    /// A new connection, which the backend is about to be asked for.
    pub(super) fn begin(self: &Arc<Self>) -> Place {
        let id = Id::random();
        let early = Early::new(self.early.clone());
        let (phase, seen) = watch::channel(Phase::Asked(Arc::new(early)));
        self.lock().insert(id.clone(), seen);
        Place {
            all: self.clone(),
            id,
            phase,
        }
    }

    /// The connection of that id, once the backend has answered for it.
    pub(super) async fn find(&self, id: &Id) -> Option<Arc<Connection>> {
        let mut phase = self.lock().get(id).cloned()?;
        let open = phase
            .wait_for(|phase| matches!(phase, Phase::Open(_)))
            .await;
        match &*open.ok()? {
            Phase::Open(connection) => Some(connection.clone()),
            Phase::Asked(_) => None,
        }
    }

    /// Keeps a frame for a client that the backend has not accepted yet.
    ///
    /// # Errors
    /// The client is connected or not known here, the backend has closed it, or too many frames
    /// wait for it.
    pub(super) fn keep(&self, id: &Id, frame: Bytes) -> Result<(), EarlyError> {
        let phase = self.lock().get(id).map(|phase| phase.borrow().clone());
        match phase {
            Some(Phase::Asked(early)) => early.keep(frame),
            Some(Phase::Open(_)) | None => Err(EarlyError::Connected),
        }
    }

    /// The connection is not found any more.
    pub(super) fn forget(&self, id: &Id) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, watch::Receiver<Phase>>> {
        self.known.lock().expect("no code panics under this lock")
    }
}

impl Place {
    /// Sends the frames that the backend has written meanwhile. From then on, [`Connections::find`]
    /// returns the connection.
    pub(super) fn open(&self, connection: Arc<Connection>) {
        let phase = self.phase.borrow().clone();
        if let Phase::Asked(early) = phase {
            let way = connection.way.clone();
            let send = |frame: &Bytes| {
                if let Err(reason) = outlet::send(&way, frame) {
                    outlet::close(&way, reason);
                }
            };
            early.send_all(send, || {
                self.phase.send_replace(Phase::Open(connection));
            });
        }
    }

    /// It is not found any more.
    pub(super) fn forget(&self) {
        self.all.forget(&self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A connection that is open: where it is from, and the rooms that it is in.
pub(super) struct Connection {
    since: DateTime<Utc>,
    from: IpAddr,
    hub: Arc<Hub>,
    way: Way,
    /// Guards who it is in which namespace, with the rooms there; none at all once
    /// it is gone. Held while it joins or leaves.
    clients: Mutex<Option<Clients>>,
}

type Clients = BTreeMap<NamespaceName, (Arc<Client>, Vec<RoomName>)>;

impl Connection {
    pub(super) fn new(hub: &Arc<Hub>, way: Way, from: IpAddr) -> Self {
        Self {
            since: Utc::now(),
            from,
            hub: hub.clone(),
            way,
            clients: Mutex::new(Some(BTreeMap::new())),
        }
    }

    /// Lets it hear a room as well.
    pub(super) async fn join(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
    ) -> Result<(), Error> {
        let joined = self.begin_to_join(namespace, room)?;
        // Nobody answers once the server has stopped.
        let joined = joined.await.unwrap_or(Err(Error::Closing));
        if joined.is_err()
            && let Some(clients) = self.clients().as_mut()
        {
            self.has_not(clients, namespace, room);
        }
        joined
    }

    fn begin_to_join(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let is_other = |n: &Namespace| n.name == *namespace && n.protocol != Protocol::Room;
        if self.hub.namespaces().any(is_other) {
            return Err(Error::NotAllowed {
                verb: "joining by webhook",
                namespace: namespace.to_string(),
            });
        }
        let mut clients = self.clients();
        let clients = clients.as_mut().ok_or(Error::Closing)?;
        if !clients.contains_key(namespace) {
            let outlet = Arc::new(RoomsOutlet(self.way.clone()));
            let client = self.hub.connect(namespace, outlet)?;
            clients.insert(namespace.clone(), (client, Vec::new()));
        }
        let (client, rooms) = clients.get_mut(namespace).expect("it was just put there");
        let name = client.id().guest_name();
        let (tell, told) = oneshot::channel();
        // Whoever waits for it may have gone.
        let welcome = move |joined: Result<Joined, Error>| drop(tell.send(joined.map(drop)));
        let joined = self.hub.join(client, room, Some(name), None, welcome);
        if joined.is_ok() && !rooms.contains(room) {
            rooms.push(room.clone());
        }
        self.tidy(clients, namespace);
        joined.map(|()| told)
    }

    /// It is not in a room after all.
    fn has_not(&self, clients: &mut Clients, namespace: &NamespaceName, room: &RoomName) {
        if let Some((_, rooms)) = clients.get_mut(namespace) {
            rooms.retain(|known| known != room);
        }
        self.tidy(clients, namespace);
    }

    /// Lets it hear a room no more.
    pub(super) fn leave(&self, namespace: &NamespaceName, room: &RoomName) -> Result<(), Error> {
        let mut clients = self.clients();
        let clients = clients.as_mut().ok_or(Error::Closing)?;
        let not_in = || Error::NotInRoom(room.to_string());
        let (client, _) = clients.get(namespace).ok_or_else(not_in)?;
        self.hub.leave(client, room, || ())?;
        self.has_not(clients, namespace, room);
        Ok(())
    }

    /// Leaves all rooms; it is gone.
    pub(super) fn end(&self) {
        for (client, _) in self.clients().take().unwrap_or_default().into_values() {
            self.hub.disconnect(&client);
        }
    }

    pub(super) fn about(&self) -> About {
        let clients = self.clients();
        let rooms = clients
            .iter()
            .flatten()
            .flat_map(|(namespace, (_, rooms))| {
                rooms.iter().map(move |room| format!("{namespace}/{room}"))
            });
        About::new(self.since, self.from.to_string(), rooms.collect())
    }

    /// Is nobody in a namespace where it is in no room.
    fn tidy(&self, clients: &mut Clients, namespace: &NamespaceName) {
        let is_idle = |(_, rooms): &(_, Vec<_>)| rooms.is_empty();
        if clients.get(namespace).is_some_and(is_idle)
            && let Some((client, _)) = clients.remove(namespace)
        {
            self.hub.disconnect(&client);
        }
    }

    fn clients(&self) -> MutexGuard<'_, Option<Clients>> {
        self.clients.lock().expect("no code panics under this lock")
    }
}

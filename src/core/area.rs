//! The rooms of one namespace: made when needed, given up when nobody needs them.
//! Knows the namespace's rooms only; who may do what in them is the hub's matter.

mod idle;
mod open;

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::client::{Client, ClientKey};
use super::durable::{Keeper, Keeping, Snapshot};
use super::error::Error;
use super::event::{Offset, Order, Publication, To};
use super::kept::Budget;
use super::name::{RoomId, RoomName};
use super::namespace::{Namespace, ROOMS_MOST, Rooms};
use super::presence::{Clients, Page};
use super::room::{PEERS_MOST, Published, Refused, Room};
use super::source::SourceBudgets;
use super::terms::Terms;
use open::{Open, Opener};

/// How many empty rooms are kept, for members who lost connection: also those
/// without events, whose offsets are good to come back with.
const IDLE_MOST: usize = 1_000;

/// How many rooms of a namespace are reserved for backends and the feed: clients can't
/// open them. An empty room is closed for the next one, so these suffice for any number of
/// rooms that are only published to.
const ROOMS_RESERVED: usize = 500;

/// Answers what another node asks of a room.
pub(super) type Answerer =
    Box<dyn Fn(RoomName, String) -> BoxFuture<'static, Option<String>> + Send + Sync>;

pub(super) struct Area {
    pub(super) spec: Namespace,
    shards: usize,
    /// Whether its rooms are on other nodes as well.
    shared: bool,
    budget: Arc<Budget>,
    /// The budgets of all clients of an address.
    pub(super) sources: SourceBudgets,
    /// Of a durable namespace.
    keeping: Option<Arc<Keeping>>,
    /// Who answers what other nodes ask of the rooms here.
    pub(super) answerer: OnceLock<Answerer>,
    /// Guards which rooms there are; never held while a room is at work.
    rooms: Mutex<Open>,
}

impl Area {
    pub(super) fn new(spec: Namespace, keeper: &Arc<dyn Keeper>, shared: bool) -> Self {
        let keeping = || Keeping::new(spec.name.clone(), keeper.clone());
        // What outlives a node is then the others' matter.
        let keeping = (spec.durable && !shared).then(keeping);
        let keeping = keeping.map(Arc::new);
        Self {
            spec,
            shared,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            budget: Arc::default(),
            sources: SourceBudgets::default(),
            rooms: Mutex::new(Open::new(keeping.clone())),
            keeping,
            answerer: OnceLock::new(),
        }
    }

    /// Takes a room that a store had, unless the namespace has no such room any
    /// more, or is full.
    pub(super) fn restore(&self, snapshot: Snapshot, tasks: &TaskTracker) {
        let opened = match (&self.spec.rooms, &snapshot.terms) {
            // One that was created meanwhile is another one.
            (Rooms::Created, Some(terms)) => self.create(&snapshot.room, Some(terms.clone())),
            _ => self.open(&snapshot.room),
        };
        let Ok(room) = opened else {
            return;
        };
        room.restore(snapshot, &self.spec, tasks);
        if room.is_empty() {
            self.emptied(&room);
        }
    }

    /// Whether its rooms outlive the process by what this node writes.
    pub(super) fn is_kept_here(&self) -> bool {
        self.keeping.is_some()
    }

    /// The rooms that outlive the process.
    pub(super) fn durable_rooms(&self) -> Vec<RoomName> {
        match self.keeping {
            Some(_) => self.lock().by_name.keys().cloned().collect(),
            None => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.rooms.lock().expect("no code panics under this lock")
    }

    /// The room, made where it is not there yet and nobody has to create it.
    pub(super) fn open(&self, name: &RoomName) -> Result<Arc<Room>, Error> {
        self.open_by(name, Opener::Server)
    }

    /// As [`Area::open`] for a client, within the limits of clients and of its address.
    pub(super) fn open_for(&self, client: &Client, name: &RoomName) -> Result<Arc<Room>, Error> {
        self.open_by(name, Opener::Client(client.origin.source))
    }

    /// Returns a room for a publisher that is not a member, and opens the room within the same
    /// limits if it is not open. In a namespace that other nodes share it opens none, and returns
    /// the room only if it is open on this node.
    pub(super) fn open_to_publish(
        &self,
        client: &Client,
        name: &RoomName,
    ) -> Result<Option<Arc<Room>>, Error> {
        match self.shared {
            true => self.check_known(name).map(|()| self.find(name)),
            false => self.open_for(client, name).map(Some),
        }
    }

    fn open_by(&self, name: &RoomName, opener: Opener) -> Result<Arc<Room>, Error> {
        self.check_known(name)?;
        self.open_or(name, opener, || match self.spec.rooms {
            // Whether it was created the other nodes know.
            Rooms::Created if self.shared => Ok(None),
            Rooms::Created | Rooms::Own => Err(Error::NotCreated(name.to_string())),
            Rooms::Open | Rooms::Fixed(_) => Ok(None),
        })
    }

    /// The rooms that are there whether anybody is in them or not.
    pub(super) fn fixed(&self) -> &[RoomName] {
        match &self.spec.rooms {
            Rooms::Fixed(known) => known,
            Rooms::Open | Rooms::Created | Rooms::Own => &[],
        }
    }

    /// The room of this name, as all nodes know it.
    pub(super) fn id(&self, room: &RoomName) -> RoomId {
        RoomId {
            namespace: self.spec.name.clone(),
            room: room.clone(),
        }
    }

    /// Makes a room with these terms.
    pub(super) fn create(&self, name: &RoomName, terms: Option<Terms>) -> Result<Arc<Room>, Error> {
        let mut created = false;
        let room = self.open_or(name, Opener::Server, || {
            created = true;
            Ok(terms)
        })?;
        if !created {
            return Err(Error::RoomExists(name.to_string()));
        }
        if let Some(keeping) = &self.keeping {
            keeping.changed(name);
        }
        Ok(room)
    }

    /// Takes a room away, unless it is another one of its name by now; false then.
    pub(super) fn remove(&self, room: &Arc<Room>) -> bool {
        {
            let mut open = self.lock();
            let known = open.by_name.get(&room.name);
            if !known.is_some_and(|known| Arc::ptr_eq(&known.room, room)) {
                return false;
            }
            open.remove(&room.name);
        }
        if let Some(keeping) = &self.keeping {
            keeping.changed(&room.name);
        }
        true
    }

    /// The room, made on the terms where it is not there yet.
    fn open_or(
        &self,
        name: &RoomName,
        opener: Opener,
        terms: impl FnOnce() -> Result<Option<Terms>, Error>,
    ) -> Result<Arc<Room>, Error> {
        let mut open = self.lock();
        if let Some(known) = open.by_name.get(name) {
            return Ok(known.room.clone());
        }
        let terms = terms()?;
        let of_address = self.spec.limits.rooms_per_address;
        if let Some(source) = opener.source()
            && open.count_of(source) >= of_address
            && !open.give_up_one_of(source)
        {
            return Err(Error::TooManyOfAddress(of_address));
        }
        let most = self.rooms_most();
        let is_full = match opener {
            Opener::Client(_) if open.of_clients() >= most.saturating_sub(ROOMS_RESERVED) => {
                !open.give_up_one_of_clients()
            }
            _ => open.by_name.len() >= most && !open.give_up_one(),
        };
        if is_full {
            return Err(Error::Full(self.spec.name.to_string()));
        }
        let room = Arc::new(Room::new(
            name.clone(),
            &self.spec,
            self.shards,
            self.budget.clone(),
            terms,
            self.shared,
        ));
        open.add(&room, opener);
        Ok(room)
    }

    /// How many rooms there may be: of those that clients have to themselves as many
    /// as there are clients.
    fn rooms_most(&self) -> usize {
        match self.spec.rooms {
            Rooms::Own => usize::MAX,
            _ => ROOMS_MOST,
        }
    }

    pub(super) fn check_known(&self, name: &RoomName) -> Result<(), Error> {
        match &self.spec.rooms {
            Rooms::Fixed(known) if !known.contains(name) => {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                Err(Error::UnknownRoom {
                    room: name.to_string(),
                    known: known.join(", "),
                })
            }
            _ => Ok(()),
        }
    }

    /// Why a client is not in this room.
    pub(super) fn why_not_in(&self, name: &RoomName) -> Error {
        match self.spec.rooms {
            Rooms::Created if self.find(name).is_none() => Error::NotCreated(name.to_string()),
            _ => Error::NotInRoom(name.to_string()),
        }
    }

    /// The room, if it is there.
    pub(super) fn find(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.lock()
            .by_name
            .get(name)
            .map(|known| known.room.clone())
    }

    /// Who of this node is in a room.
    pub(super) fn clients(&self, room: &RoomName, page: Page) -> Clients {
        match self.find(room) {
            Some(room) => room.clients(page),
            None => page.of([], 0),
        }
    }

    /// How many rooms there are.
    pub(super) fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    /// Gives a publication to those of these clients that are in its room.
    pub(super) fn tell_these(
        &self,
        these: &[ClientKey],
        mut publication: Publication,
        order: Order,
        tasks: &TaskTracker,
    ) -> Result<Offset, Error> {
        loop {
            let room = match (self.find(&publication.room), order) {
                (Some(room), _) => room,
                // Nobody of this node is in it.
                (None, Order::Given(offset, _)) => return Ok(offset),
                (None, Order::Here) => {
                    return Err(Error::NotCreated(publication.room.to_string()));
                }
            };
            match room.tell_these(these, publication, order, tasks) {
                Ok(offset) => return Ok(offset),
                Err((Refused::Closed, unused)) => publication = *unused,
                Err((refused, unused)) => return Err(self.error(refused, &unused)),
            }
        }
    }

    /// Gives a publication to its room, and keeps the namespace within its budget.
    pub(super) fn deliver(
        &self,
        mut publication: Publication,
        order: Order,
        tasks: &TaskTracker,
    ) -> Result<Published, Error> {
        loop {
            let room = match order {
                Order::Here => self.open(&publication.room)?,
                Order::Given(offset, _) => match self.find(&publication.room) {
                    Some(room) => room,
                    None => return Ok(Published::at(offset)),
                },
            };
            let published = {
                let keeping = self.keeping.as_ref();
                let _publishing = keeping.map(|keeping| keeping.publishing(&room.name));
                room.publish(publication, order, &self.spec, tasks)
            };
            match published {
                Ok(published) => {
                    self.published_in(&room);
                    return Ok(published);
                }
                Err((Refused::Closed, unused)) => publication = *unused,
                Err((Refused::Full, unused)) if self.make_way_for(&room) => publication = *unused,
                Err((refused, unused)) => {
                    // Made for this publication, it would stay for good.
                    if room.is_empty() {
                        self.emptied(&room);
                    }
                    return Err(self.error(refused, &unused));
                }
            }
        }
    }

    fn error(&self, refused: Refused, publication: &Publication) -> Error {
        match refused {
            Refused::Closed | Refused::Busy => Error::Busy,
            Refused::Full => Error::Full(self.spec.name.to_string()),
            Refused::Crowded => Error::Crowded(PEERS_MOST),
            Refused::Another => Error::WrongToken(publication.room.to_string()),
            Refused::Nobody => match &publication.to {
                To::Peer(to) => Error::NoPeer(to.to_string()),
                To::Everybody | To::These(_) => Error::NotInRoom(publication.room.to_string()),
            },
        }
    }

    pub(super) fn published_in(&self, room: &Arc<Room>) {
        if room.is_empty() {
            self.emptied(room);
        }
        while self.budget.is_exceeded() && (self.make_way_for(room) || self.shrink_biggest()) {}
    }

    /// Gives up half of the longest histories, so that no room lives on what the
    /// others may keep, and some space is won at once; false if there are none.
    fn shrink_biggest(&self) -> bool {
        let mut rooms: Vec<_> = {
            let open = self.lock();
            let rooms = open.by_name.values().map(|known| known.room.clone());
            rooms.collect()
        };
        rooms.sort_by_cached_key(|room| Reverse(room.history_bytes()));
        let mut shrunk = false;
        for room in rooms {
            if !self.budget.is_tight() {
                break;
            }
            shrunk |= room.halve();
        }
        shrunk
    }

    /// Closes an empty room that keeps events, but never `room`; returns false if there is
    /// no such room.
    fn make_way_for(&self, room: &Arc<Room>) -> bool {
        self.lock()
            .give_up_by(|idle| idle.next_that_keeps(Some(room)))
    }

    /// Keeps a room that has become empty for a while: longer than those that
    /// were emptied before it.
    pub(super) fn emptied(&self, room: &Arc<Room>) {
        match self.spec.rooms {
            Rooms::Open => {}
            Rooms::Own => {
                room.close_if_empty();
                self.remove(room);
                return;
            }
            Rooms::Fixed(_) => return,
            // With other nodes it is theirs as well, and comes back when it is needed.
            Rooms::Created if self.shared => {}
            Rooms::Created => return,
        }
        let mut open = self.lock();
        open.set_idle(room);
        // A durable one stays until its place is needed: its members may be away
        // for as long as the server was.
        let most = if self.spec.durable {
            ROOMS_MOST
        } else {
            IDLE_MOST
        };
        while open.idle.len() > most && open.settle_next() {}
    }
}

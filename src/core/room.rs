//! One room: its members, its offsets, and which events it keeps.
//! Knows no rules and no sockets: the hub asks, the shards deliver.

mod addressed;
mod early;
mod joining;
mod lobby;
mod shared;

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use chrono::Utc;
use tokio_util::task::TaskTracker;

use super::client::ClientKey;
use super::durable::Snapshot;
use super::error::Error;
use super::event::{Epoch, Event, Kind, Offset, Order, Publication, To};
use super::kept::{Budget, Kept};
use super::name::{NamespaceName, Nickname, RoomName};
use super::namespace::{Namespace, Protocol};
use super::offsets::Offsets;
use super::outlet::BACKLOG_MOST;
use super::presence::{Clients, Page};
use super::shard::{Item, Shard};
use super::terms::{Keeps, Terms};
use super::token::TokenHash;
use early::Early;
use joining::Arrival;
pub(super) use joining::{Arrived, Newcomer, Turned, Welcome};
pub use lobby::PEERS_MOST;
use lobby::{LOBBY_SHARD, Peer};
pub use shared::Loaded;

/// Members beyond this many are spread over all shards: below it one worker
/// tells everybody within about 3 ms, and a second one would only cost.
const ONE_SHARD_MEMBERS: usize = 512;

/// What a client learns when it has joined.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The room.
    pub room: RoomName,
    /// How many clients are in the room, the new one included.
    pub clients: usize,
    /// The room's last offset at that moment.
    pub offset: Offset,
    /// Whether the backlog is exactly what was missed since the offset named.
    ///
    /// Who is a member already has no backlog: here it says that all events
    /// behind that offset were sent, or wait to be.
    pub recovered: bool,
    /// In a lobby who else is there, those who came first first.
    pub peers: Vec<Nickname>,
}

/// What a publication has become, as far as its room is concerned.
pub(super) enum Refused {
    /// The room was given up in the meantime: look it up again.
    Closed,
    /// The room has too much to deliver.
    Busy,
    /// The namespace retains as much as it may.
    Full,
    /// There are [`PEERS_MOST`] peers already.
    Crowded,
    /// No member has the name that it is for, or its sender is none any more.
    Nobody,
    /// The room that it is for was deleted, and this is another one.
    Another,
}

impl Refused {
    /// What a client learns that wanted to join.
    pub(super) fn at_joining(self) -> Error {
        match self {
            Self::Crowded => Error::Crowded(PEERS_MOST),
            _ => Error::Busy,
        }
    }
}

/// What has become of a publication.
pub(super) struct Published {
    pub(super) offset: Offset,
    /// Of what says that a client has come: that it is a member now.
    pub(super) arrived: Arrived,
}

impl Published {
    pub(super) fn at(offset: Offset) -> Self {
        Self {
            offset,
            arrived: Arrived::default(),
        }
    }

    fn not_yet(order: Order, state: &State) -> Self {
        Self::at(match order {
            Order::Given(offset, _) => offset,
            Order::Here => state.offsets.last(),
        })
    }
}

/// Why a publication was refused, and it itself.
pub(super) type Unpublished = (Refused, Box<Publication>);

pub(super) struct Room {
    pub(super) name: RoomName,
    /// Of a lobby, its namespace: the members are peers, who are told of each
    /// other and can be written to one by one.
    lobby: Option<NamespaceName>,
    /// Of a room that was created: what was laid down then. Empty until the room is
    /// loaded, where it is shared.
    terms: OnceLock<Terms>,
    /// Whether it is on other nodes as well: then it is told from outside what is in
    /// it, and in which order.
    shared: bool,
    /// Whether those who know the other nodes were told that it is here.
    followed: AtomicBool,
    shards: Box<[Arc<Shard>]>,
    /// Guards offsets, history and membership, so that each event is either in
    /// a joining client's backlog or in its shard's queue, never in both.
    state: Mutex<State>,
}

struct State {
    offsets: Offsets,
    kept: Kept,
    members: BTreeMap<ClientKey, Member>,
    /// Of a shared room: who is on the way into it.
    arrivals: BTreeMap<ClientKey, Arrival>,
    /// Of a shared room: whether it is not known yet what is in it.
    loading: bool,
    /// Of a shared room: the events that its members received before the other nodes.
    early: Early,
    /// How many clients have ever become members.
    joins: u64,
    /// In a lobby: its members by name.
    peers: HashMap<Nickname, Peer>,
    /// In a lobby: the peers on other nodes.
    elsewhere: Vec<Nickname>,
    closed: bool,
}

struct Member {
    name: Nickname,
    shard: usize,
    /// It is sent every event behind this number.
    from: u64,
    /// The number of the member: how many clients had ever joined, this one included.
    number: u64,
}

impl Room {
    pub(super) fn new(
        name: RoomName,
        spec: &Namespace,
        shards: usize,
        budget: Arc<Budget>,
        terms: Option<Terms>,
        shared: bool,
    ) -> Self {
        let is_lobby = spec.protocol == Protocol::Lobby;
        Self {
            name,
            lobby: is_lobby.then(|| spec.name.clone()),
            terms: terms.map_or_else(OnceLock::new, OnceLock::from),
            shared,
            followed: AtomicBool::new(false),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            state: Mutex::new(State {
                offsets: Offsets::new(),
                kept: Kept::new(budget),
                members: BTreeMap::new(),
                arrivals: BTreeMap::new(),
                loading: shared,
                early: Early::default(),
                joins: 0,
                peers: HashMap::new(),
                elsewhere: Vec::new(),
                closed: false,
            }),
        }
    }

    /// Takes over the contents of the room from the store, unless an event was published in the
    /// meantime. Members that joined before (the store was slow) receive the retained events.
    pub(super) fn restore(&self, snapshot: Snapshot, spec: &Namespace, tasks: &TaskTracker) {
        let mut state = self.lock();
        if state.offsets.last().number == 0 {
            state.offsets = Offsets::of(snapshot.epoch, snapshot.head, snapshot.limit);
            let keeps = Keeps::of(self.terms.get(), spec);
            state.kept.restore(snapshot.contents, keeps);
            if !state.members.is_empty() {
                for event in state.kept.current() {
                    self.queue(event, 0, tasks);
                }
            }
        }
    }

    /// The room as a store is to write it.
    pub(super) fn snapshot(&self, spec: &Namespace) -> Snapshot {
        let mut state = self.lock();
        let limit = state.offsets.reserve_below();
        let Offset { epoch, number } = state.offsets.last();
        Snapshot {
            namespace: spec.name.clone(),
            room: self.name.clone(),
            epoch,
            head: number,
            limit,
            terms: self.terms.get().cloned(),
            contents: state.kept.contents(),
        }
    }

    /// A store has reserved the numbers below `limit`, in this epoch.
    pub(super) fn reserved(&self, epoch: Epoch, limit: u64) {
        self.lock().offsets.reserved(epoch, limit);
    }

    /// Of the token that it has, if it was created.
    pub(super) fn token(&self) -> Option<TokenHash> {
        self.terms.get().map(|terms| terms.token_hash)
    }

    /// Whether the publication is for this room, and not for another one of its name.
    fn is_meant(&self, publication: &Publication) -> bool {
        publication.token.is_none() || publication.token == self.token()
    }

    /// The event that is retained under a key.
    pub(super) fn retained(&self, key: &str) -> Option<Arc<Event>> {
        self.lock().kept.retained(key).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }

    /// Queues the event for everybody; gives its number in the first queue.
    ///
    /// Those who came first have heard it, as many as `heard_by`.
    fn queue(&self, event: impl Into<Arc<Event>>, heard_by: u64, tasks: &TaskTracker) -> u64 {
        self.queue_for(event, heard_by + 1..=u64::MAX, tasks)
    }

    /// Queues the event for the members with these numbers.
    fn queue_for(
        &self,
        event: impl Into<Arc<Event>>,
        members: RangeInclusive<u64>,
        tasks: &TaskTracker,
    ) -> u64 {
        let event = event.into();
        let shards = match self.lobby {
            Some(_) => &self.shards[LOBBY_SHARD..=LOBBY_SHARD],
            None => &self.shards,
        };
        let is_for_all = members == (1..=u64::MAX);
        let item = || match is_for_all {
            true => Item::Event(event.clone()),
            false => Item::Some(event.clone(), members.clone()),
        };
        let push = |shard: &Arc<Shard>| shard.push(item(), tasks);
        let mut numbers = shards.iter().map(push);
        let first = numbers.next().unwrap_or_default();
        numbers.for_each(drop);
        first
    }

    fn takes_events(&self) -> bool {
        self.shards.iter().all(|shard| shard.takes_events())
    }

    /// The used share of the room's fullest shard queue, from 0 to 1.
    pub(super) fn pressure(&self) -> f32 {
        let pressures = self.shards.iter().map(|shard| shard.pressure());
        pressures.fold(0.0, f32::max)
    }

    /// Gives the publication its offset, or takes the one that is given, and queues it
    /// for everybody.
    pub(super) fn publish(
        &self,
        publication: Publication,
        order: Order,
        spec: &Namespace,
        tasks: &TaskTracker,
    ) -> Result<Published, Unpublished> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, publication.into()));
        }
        let is_here = order == Order::Here;
        if state.loading && !is_here {
            // It will be in what the room is loaded with, as its token will.
            return Ok(Published::not_yet(order, &state));
        }
        if !self.is_meant(&publication) {
            return Err((Refused::Another, publication.into()));
        }
        let is_about_sender = matches!(publication.kind, Kind::Joined | Kind::Left);
        let needs_sender = self.lobby.is_some() && is_here && !is_about_sender;
        if needs_sender && !state.has_sender(&publication) {
            return Err((Refused::Nobody, publication.into()));
        }
        if publication.to != To::Everybody {
            let offset = self.tell(state, publication, order, tasks)?;
            return Ok(Published::at(offset));
        }
        if !self.takes_events() {
            return Err((Refused::Busy, publication.into()));
        }
        if self.shared && is_here {
            state.loading = false;
            state.offsets.part();
        }
        let (offset, time) = match order {
            Order::Here => (state.offsets.prepare(), Utc::now()),
            Order::Given(offset, time) => (offset, time),
        };
        let event = Event::new(publication, offset, time);
        let keeps = Keeps::of(self.terms.get(), spec);
        if is_here && !state.kept.may_retain(&event, keeps) {
            return Err((Refused::Full, event.publication.into()));
        }
        let event = Arc::new(event);
        match order {
            Order::Here => drop(state.offsets.give()),
            Order::Given(..) => state.offsets.follow(offset),
        }
        state.kept.add(&event, keeps);
        let heard_by = self.heard_by(&mut state, &event.publication, order);
        let is_known = self.is_known(&state, &event.publication);
        if !state.members.is_empty() && !is_known {
            let number = match order {
                Order::Here => Some(self.queue(event.clone(), heard_by, tasks)),
                Order::Given(..) => self.queue_in_order(&mut state, &event, heard_by, tasks),
            };
            if let Some(number) = number {
                state.has_done(&event.publication.sender, number);
            }
        }
        let arrived = self.takes_note(&mut state, &event, tasks);
        Ok(Published { offset, arrived })
    }

    /// The member's name, if the client is one.
    pub(super) fn name_of(&self, key: ClientKey) -> Option<Nickname> {
        let state = self.lock();
        let member = state.members.get(&key).map(|member| member.name.clone());
        member.or_else(|| state.arrivals.get(&key).map(Arrival::name))
    }

    /// A page of the members, in the order in which they connected.
    pub(super) fn clients(&self, page: Page) -> Clients {
        let state = self.lock();
        let after = Bound::Excluded(ClientKey(page.after));
        let members = state.members.range((after, Bound::Unbounded));
        let names = members.map(|(key, member)| (key.0, Some(member.name.clone())));
        page.of(names, state.members.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether there is anything in it for those who come later.
    pub(super) fn keeps(&self) -> bool {
        !self.lock().kept.is_empty()
    }

    /// How much its history takes, in bytes.
    pub(super) fn history_bytes(&self) -> usize {
        self.lock().kept.history_bytes()
    }

    /// Gives up the older half of its history; false if there is none.
    pub(super) fn halve(&self) -> bool {
        self.lock().kept.halve()
    }

    /// Gives the room up if it is empty.
    ///
    /// A room that was given up takes nothing more; the next one of its name
    /// has another epoch.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.lock();
        if state.is_empty() {
            state.closed = true;
            state.kept.clear();
        }
        state.closed
    }

    fn shard_for(&self, key: ClientKey, members: usize) -> usize {
        if self.lobby.is_some() {
            LOBBY_SHARD
        } else if members < ONE_SHARD_MEMBERS {
            0
        } else {
            key.0 as usize % self.shards.len()
        }
    }
}

impl State {
    /// Whether nobody is in the room, nor on the way into it.
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.arrivals.is_empty()
    }

    /// What was missed since the offset, and whether that is all of it.
    ///
    /// Where it can't be known, the client gets what there is: it has to know
    /// that this is not the continuation of what it saw.
    fn missed(&self, since: Offset) -> (Vec<Arc<Event>>, bool) {
        let known = self.offsets.has_been(since);
        let after = if known { since.number } else { 0 };
        let mut missed = self.kept.since(after);
        let at_head = since == self.offsets.last();
        let whole = known && (at_head || self.kept.reaches(since.number));
        if !whole {
            let mut current = self.kept.current();
            current.retain(|event| event.offset.number > after);
            // A retained event replaces the same one of the history: it has `current`.
            missed.splice(..0, current);
            missed.sort_by_key(|event| event.offset.number);
            missed.dedup_by_key(|event| event.offset.number);
        }
        let too_many = missed.len().saturating_sub(BACKLOG_MOST);
        missed.drain(..too_many);
        (missed, whole && too_many == 0)
    }
}

//! One room: its members, its offsets, and which events it keeps.
//! Knows no rules and no sockets: the hub asks, the shards deliver.

mod addressed;
mod lobby;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use tokio_util::task::TaskTracker;

use super::client::{Client, ClientKey};
use super::durable::{Keeping, Snapshot};
use super::event::{Epoch, Event, Offset, Publication, To};
use super::kept::{Budget, Kept};
use super::name::{NamespaceName, Nickname, RoomName};
use super::namespace::{Namespace, Protocol};
use super::offsets::Offsets;
use super::outlet::BACKLOG_MOST;
use super::shard::{Item, Reply, Shard};
use super::terms::{Keeps, Terms};
use super::token::TokenHash;
pub use lobby::PEERS_MOST;
use lobby::{LOBBY_SHARD, Peer};

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

/// Why a publication was refused, and it itself.
pub(super) type Unpublished = (Refused, Box<Publication>);

pub(super) struct Room {
    pub(super) name: RoomName,
    /// Of a lobby, its namespace: the members are peers, who are told of each
    /// other and can be written to one by one.
    lobby: Option<NamespaceName>,
    /// Of a room that was created: what was laid down then.
    terms: Option<Terms>,
    /// Of a durable namespace: who is told before an event is given out.
    keeping: Option<Arc<Keeping>>,
    shards: Box<[Arc<Shard>]>,
    /// Guards offsets, history and membership, so that each event is either in
    /// a joining client's backlog or in its shard's queue, never in both.
    state: Mutex<State>,
}

struct State {
    offsets: Offsets,
    kept: Kept,
    members: BTreeMap<ClientKey, Member>,
    /// In a lobby: its members by name.
    peers: HashMap<Nickname, Peer>,
    closed: bool,
}

struct Member {
    name: Nickname,
    shard: usize,
    /// It is sent every event behind this number.
    from: u64,
}

impl Room {
    pub(super) fn new(
        name: RoomName,
        spec: &Namespace,
        shards: usize,
        budget: Arc<Budget>,
        keeping: Option<Arc<Keeping>>,
        terms: Option<Terms>,
    ) -> Self {
        let is_lobby = spec.protocol == Protocol::Lobby;
        Self {
            name,
            lobby: is_lobby.then(|| spec.name.clone()),
            terms,
            keeping,
            shards: (0..shards).map(|_| Arc::default()).collect(),
            state: Mutex::new(State {
                offsets: Offsets::new(),
                kept: Kept::new(budget),
                members: BTreeMap::new(),
                peers: HashMap::new(),
                closed: false,
            }),
        }
    }

    /// Takes what a store had of it, unless something was published meanwhile.
    pub(super) fn restore(&self, snapshot: Snapshot, spec: &Namespace) {
        let mut state = self.lock();
        if state.offsets.last().number == 0 {
            state.offsets = Offsets::of(snapshot.epoch, snapshot.head, snapshot.limit);
            let keeps = Keeps::of(self.terms.as_ref(), spec);
            state.kept.restore(snapshot.contents, keeps);
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
            terms: self.terms.clone(),
            contents: state.kept.contents(),
        }
    }

    /// A store has reserved the numbers below `limit`, in this epoch.
    pub(super) fn reserved(&self, epoch: Epoch, limit: u64) {
        self.lock().offsets.reserved(epoch, limit);
    }

    /// Of the token that it has, if it was created.
    pub(super) fn token(&self) -> Option<TokenHash> {
        self.terms.as_ref().map(|terms| terms.token_hash)
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

    /// Makes the client a member; `welcome` is called before its backlog.
    ///
    /// A client that is a member already stays one, and is sent nothing again.
    pub(super) fn join<W>(
        &self,
        client: &Arc<Client>,
        name: Nickname,
        since: Option<Offset>,
        welcome: W,
        tasks: &TaskTracker,
    ) -> Result<(), (Refused, W)>
    where
        W: FnOnce(Joined) + Send + 'static,
    {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, welcome));
        }
        let known = state.members.get(&client.key());
        let known = known.map(|member| (member.shard, member.from));
        let shard = match known {
            Some((shard, _)) => shard,
            None => self.shard_for(client.key(), state.members.len()),
        };
        if !self.shards[shard].takes_items() {
            return Err((Refused::Busy, welcome));
        }
        if self.lobby.is_some() && known.is_none() {
            if state.members.len() >= PEERS_MOST {
                return Err((Refused::Crowded, welcome));
            }
            if !self.takes_events() {
                return Err((Refused::Busy, welcome));
            }
        }
        let (backlog, recovered) = match (known, since) {
            (Some((_, from)), Some(since)) => {
                let sent = state.offsets.has_been(since) && since.number >= from;
                (Vec::new(), sent)
            }
            (Some(_), None) => (Vec::new(), false),
            (None, Some(since)) => state.missed(since),
            (None, None) => (state.kept.current(), false),
        };
        let joins_as = name.clone();
        if known.is_none() {
            let from = match since {
                Some(since) if recovered => since.number,
                _ => state.offsets.last().number,
            };
            // Before the new one hears anything: it is told who is there instead.
            self.takes_over(&mut state, &name, tasks);
            self.has_come(&mut state, &name, client, tasks);
            let member = Member { name, shard, from };
            state.members.insert(client.key(), member);
        }
        let joined = Joined {
            room: self.name.clone(),
            clients: state.members.len(),
            offset: state.offsets.last(),
            recovered,
            peers: self.others(&state, client.key()),
        };
        let welcome: Reply = Box::new(move || welcome(joined));
        let item = if known.is_some() {
            Item::Reply(welcome)
        } else {
            Item::Join {
                client: client.clone(),
                welcome,
                backlog,
            }
        };
        let number = self.shards[shard].push(item, tasks);
        if known.is_none() {
            state.has_done(&joins_as, number);
        }
        Ok(())
    }

    /// Ends the membership; `farewell` is called behind the client's last event.
    ///
    /// Tells whether the room is empty now.
    pub(super) fn leave(&self, key: ClientKey, farewell: Reply, tasks: &TaskTracker) -> bool {
        let mut state = self.lock();
        let Some(member) = state.members.remove(&key) else {
            drop(state);
            farewell();
            return false;
        };
        state.mute(&member.name, key);
        self.shards[member.shard].push(Item::Leave { key, farewell }, tasks);
        self.has_gone(&mut state, &member.name, key, tasks);
        state.members.is_empty()
    }

    /// Queues the event for everybody; gives its number in the first queue.
    fn queue(&self, event: impl Into<Arc<Event>>, tasks: &TaskTracker) -> u64 {
        let event = event.into();
        let shards = match self.lobby {
            Some(_) => &self.shards[LOBBY_SHARD..=LOBBY_SHARD],
            None => &self.shards,
        };
        let push = |shard: &Arc<Shard>| shard.push(Item::Event(event.clone()), tasks);
        let mut numbers = shards.iter().map(push);
        let first = numbers.next().unwrap_or_default();
        numbers.for_each(drop);
        first
    }

    fn takes_events(&self) -> bool {
        self.shards.iter().all(|shard| shard.takes_events())
    }

    /// Gives the publication its offset and queues it for everybody.
    pub(super) fn publish(
        &self,
        publication: Publication,
        spec: &Namespace,
        tasks: &TaskTracker,
    ) -> Result<Offset, Unpublished> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, publication.into()));
        }
        if !self.is_meant(&publication) {
            return Err((Refused::Another, publication.into()));
        }
        if self.lobby.is_some() && !state.has_sender(&publication) {
            return Err((Refused::Nobody, publication.into()));
        }
        if publication.to != To::Everybody {
            return self.tell(state, publication, tasks);
        }
        if !self.takes_events() {
            return Err((Refused::Busy, publication.into()));
        }
        let offset = state.offsets.prepare();
        let event = Event::new(publication, offset, Utc::now());
        let keeps = Keeps::of(self.terms.as_ref(), spec);
        if !state.kept.may_retain(&event, keeps) {
            return Err((Refused::Full, event.publication.into()));
        }
        if let Some(keeping) = &self.keeping {
            keeping.publishes(&self.name);
        }
        let event = Arc::new(event);
        state.offsets.give();
        state.kept.add(&event, keeps);
        if !state.members.is_empty() {
            let number = self.queue(event.clone(), tasks);
            state.has_done(&event.publication.sender, number);
        }
        Ok(offset)
    }

    /// The member's name, if the client is one.
    pub(super) fn name_of(&self, key: ClientKey) -> Option<Nickname> {
        self.lock().members.get(&key).map(|m| m.name.clone())
    }

    /// Up to `most` names, those who came first, and how many members there are.
    pub(super) fn names(&self, most: usize) -> (Vec<Nickname>, usize) {
        let state = self.lock();
        let names = state.members.values().take(most);
        (names.map(|m| m.name.clone()).collect(), state.members.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().members.is_empty()
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
        if state.members.is_empty() {
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
            let current = self.kept.current().into_iter();
            missed.extend(current.filter(|event| event.offset.number > after));
            missed.sort_by_key(|event| event.offset.number);
            missed.dedup_by_key(|event| event.offset.number);
        }
        let too_many = missed.len().saturating_sub(BACKLOG_MOST);
        missed.drain(..too_many);
        (missed, whole && too_many == 0)
    }
}

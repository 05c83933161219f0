//! One room: its members, its offsets, what it retains and its history.
//! Knows no rules and no sockets: the hub asks, the shards deliver.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use tokio_util::task::TaskTracker;

use super::client::{Client, ClientKey};
use super::event::{Epoch, Event, Offset, Publication};
use super::name::{Nickname, RoomName};
use super::namespace::Namespace;
use super::outlet::BACKLOG_MOST;
use super::shard::{Item, Reply, Shard};

/// The most bytes of messages that one room keeps as its history: 1 MiB.
///
/// A hundred events of 10 KiB; tracks have 300 bytes.
const HISTORY_BYTES: usize = 1 << 20;

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
    pub recovered: bool,
}

/// What a publication has become, as far as its room is concerned.
pub(super) enum Refused {
    /// The room was given up in the meantime: look it up again.
    Closed,
    /// The room has too much to deliver.
    Busy,
}

pub(super) struct Room {
    pub(super) name: RoomName,
    shards: Box<[Arc<Shard>]>,
    /// Guards offsets, history and membership, so that each event is either in
    /// a joining client's backlog or in its shard's queue, never in both.
    state: Mutex<State>,
}

struct State {
    epoch: Epoch,
    head: u64,
    retained: Vec<(String, Arc<Event>)>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    members: BTreeMap<ClientKey, Member>,
    closed: bool,
}

struct Member {
    name: Nickname,
    shard: usize,
}

impl Room {
    pub(super) fn new(name: RoomName, shards: usize) -> Self {
        Self {
            name,
            shards: (0..shards).map(|_| Arc::default()).collect(),
            state: Mutex::new(State {
                epoch: Epoch::random(),
                head: 0,
                retained: Vec::new(),
                history: VecDeque::new(),
                history_bytes: 0,
                members: BTreeMap::new(),
                closed: false,
            }),
        }
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
        let known = state.members.get(&client.key()).map(|m| m.shard);
        let shard = known.unwrap_or_else(|| self.shard_for(client.key(), state.members.len()));
        if !self.shards[shard].takes_joins() {
            return Err((Refused::Busy, welcome));
        }
        let (backlog, recovered) = match (known, since) {
            (Some(_), _) => (Vec::new(), false),
            (None, Some(since)) => state.missed(since),
            (None, None) => (state.kept(), false),
        };
        if known.is_none() {
            state.members.insert(client.key(), Member { name, shard });
        }
        let joined = Joined {
            room: self.name.clone(),
            clients: state.members.len(),
            offset: state.head_offset(),
            recovered,
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
        self.shards[shard].push(item, tasks);
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
        self.shards[member.shard].push(Item::Leave { key, farewell }, tasks);
        state.members.is_empty()
    }

    /// Gives the publication its offset and queues it for everybody.
    pub(super) fn publish(
        &self,
        publication: Publication,
        spec: &Namespace,
        tasks: &TaskTracker,
    ) -> Result<Offset, (Refused, Publication)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, publication));
        }
        if !self.shards.iter().all(|shard| shard.takes_events()) {
            return Err((Refused::Busy, publication));
        }
        state.head += 1;
        let offset = state.head_offset();
        let event = Arc::new(Event::new(publication, offset, Utc::now()));
        state.retain(&event, spec);
        state.remember(&event, spec.history);
        if !state.members.is_empty() {
            for shard in &self.shards {
                shard.push(Item::Event(event.clone()), tasks);
            }
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
        let state = self.lock();
        !state.history.is_empty() || !state.retained.is_empty()
    }

    /// Gives the room up if it is empty.
    ///
    /// A room that was given up takes nothing more; the next one of its name
    /// has another epoch.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.lock();
        state.closed |= state.members.is_empty();
        state.closed
    }

    fn shard_for(&self, key: ClientKey, members: usize) -> usize {
        if members < ONE_SHARD_MEMBERS {
            0
        } else {
            key.0 as usize % self.shards.len()
        }
    }
}

impl State {
    fn head_offset(&self) -> Offset {
        Offset {
            epoch: self.epoch,
            number: self.head,
        }
    }

    fn retain(&mut self, event: &Arc<Event>, spec: &Namespace) {
        let named = event.publication.retain;
        let first = spec.retain.first().map(String::as_str);
        let keys = spec
            .retain
            .iter()
            .map(String::as_str)
            .filter(|key| named.contains(key) || (named.is_empty() && first == Some(*key)));
        for key in keys {
            match self.retained.iter_mut().find(|(known, _)| known == key) {
                Some((_, kept)) => *kept = event.clone(),
                None => self.retained.push((key.to_owned(), event.clone())),
            }
        }
    }

    fn remember(&mut self, event: &Arc<Event>, most: usize) {
        self.history.push_back(event.clone());
        self.history_bytes += event.weight();
        while self.history.len() > most || self.history_bytes > HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else {
                break;
            };
            self.history_bytes -= oldest.weight();
        }
    }

    /// The retained events in the order of their offsets, each once.
    fn kept(&self) -> Vec<Arc<Event>> {
        let mut kept: Vec<_> = self.retained.iter().map(|(_, e)| e.clone()).collect();
        kept.sort_by_key(|event| event.offset.number);
        kept.dedup_by_key(|event| event.offset.number);
        kept
    }

    /// What was missed since the offset, and whether that is all of it.
    ///
    /// Where it can't be known, the client gets what there is: it has to know
    /// that this is not the continuation of what it saw.
    fn missed(&self, since: Offset) -> (Vec<Arc<Event>>, bool) {
        let known = since.epoch == self.epoch && since.number <= self.head;
        let after = if known { since.number } else { 0 };
        let newer = |event: &&Arc<Event>| event.offset.number > after;
        let mut missed: Vec<_> = self.history.iter().filter(newer).cloned().collect();
        let whole = known && missed.len() as u64 == self.head - after;
        if !whole {
            missed.extend(self.kept().iter().filter(newer).cloned());
            missed.sort_by_key(|event| event.offset.number);
            missed.dedup_by_key(|event| event.offset.number);
        }
        let too_many = missed.len().saturating_sub(BACKLOG_MOST);
        missed.drain(..too_many);
        (missed, whole && too_many == 0)
    }
}

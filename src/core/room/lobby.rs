//! A room as a lobby: its members are peers, who are told of each other and can
//! be written to one by one. Knows no protocol.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use serde_json::value::RawValue;
use tokio_util::task::TaskTracker;

use super::{Refused, Room, State, Unpublished};
use crate::core::broker::Presence;
use crate::core::client::{Client, ClientKey, SINK, calls_sink};
use crate::core::event::{Event, Kind, Offset, Order, Publication, To};
use crate::core::name::{Nickname, RoomId};
use crate::core::outlet::OUTLET_QUEUE;
use crate::core::panics::catch;
use crate::core::shard::Item;

/// How many peers a lobby takes: each new one is told of all the others, and
/// they of it, so that costs grow with the square. At 1,000 a list of them is
/// 24 KiB.
pub const PEERS_MOST: usize = 1_000;

/// Most signals of one peer that may wait for another: more than two browsers need to
/// connect to each other. An eighth of a client's queue.
const SIGNALS_MOST: usize = OUTLET_QUEUE / 8;

/// Below this number of senders, those without waiting signals are not removed.
const SENDERS_FEW: usize = 32;

/// Where all peers of a lobby are: what one of them is sent alone has its place
/// among what all of them are.
pub(super) const LOBBY_SHARD: usize = 0;

/// A member of a lobby, who can be written to alone.
#[derive(Clone)]
pub(super) struct Peer {
    client: Arc<Client>,
    /// Whether it has left; held while it is written to and while it writes, so
    /// that nothing comes behind the answer to its LEAVE, nor behind its LEFT.
    /// Nothing else is locked under it but the outlet.
    left: Arc<Mutex<bool>>,
    /// The signals of other peers that wait for it.
    signals: Arc<Mutex<Signals>>,
    /// What it did last in the queue: once that is done with, all have seen it.
    last: u64,
}

/// The signals that wait for a peer.
#[derive(Default)]
struct Signals {
    /// A counter for each sender: each waiting signal holds a clone, and this map one more.
    waiting: HashMap<Nickname, Arc<()>>,
    /// The number of senders at which those without waiting signals are removed.
    many: usize,
}

impl Signals {
    /// Counts a signal of this sender until the returned value is dropped; `None` if too many
    /// wait already.
    fn take(&mut self, sender: &Nickname) -> Option<Arc<()>> {
        if let Some(waits) = self.waiting.get(sender) {
            return (Arc::strong_count(waits) <= SIGNALS_MOST).then(|| waits.clone());
        }
        if self.waiting.len() >= self.many {
            self.waiting.retain(|_, waits| Arc::strong_count(waits) > 1);
            self.many = SENDERS_FEW.max(2 * self.waiting.len());
        }
        let waits = Arc::<()>::default();
        self.waiting.insert(sender.clone(), waits.clone());
        Some(waits)
    }
}

/// What says that a peer comes or goes.
pub(in crate::core) fn announcement(
    id: RoomId,
    kind: Kind,
    who: Nickname,
    origin: Option<ClientKey>,
) -> Publication {
    Publication {
        namespace: id.namespace,
        room: id.room,
        kind,
        sender: who,
        to: To::Everybody,
        message: RawValue::NULL.to_owned(),
        origin,
        retain: Vec::new(),
        token: None,
        id: None,
        same: None,
    }
}

impl Room {
    /// Ends the membership of who has this name, if somebody has: a client that
    /// comes anew on its connection may be faster than the end of what it was.
    ///
    /// The other nodes are to be told of that, if there are any.
    pub(super) fn takes_over(
        &self,
        state: &mut State,
        name: &Nickname,
        tasks: &TaskTracker,
    ) -> Option<Presence> {
        let key = state.peers.get(name).map(Peer::key)?;
        self.let_go(state, key, Box::new(|| ()), tasks)
    }

    /// The others are told, and it may be written to.
    pub(super) fn has_come(
        &self,
        state: &mut State,
        name: &Nickname,
        client: &Arc<Client>,
        tasks: &TaskTracker,
    ) {
        if self.lobby.is_none() {
            return;
        }
        let peer = Peer {
            client: client.clone(),
            left: Arc::default(),
            signals: Arc::default(),
            last: 0,
        };
        state.peers.insert(name.clone(), peer);
        if self.shared {
            // What says so has come already, in its place among the events.
            return;
        }
        self.announce(state, Kind::Joined, name, client.key(), tasks);
    }

    /// The others are told, and it is not written to any more.
    pub(super) fn has_gone(
        &self,
        state: &mut State,
        name: &Nickname,
        key: ClientKey,
        tasks: &TaskTracker,
    ) {
        if state.peers.get(name).is_some_and(|peer| peer.key() == key) {
            state.peers.remove(name);
        }
        if self.shared {
            return;
        }
        self.announce(state, Kind::Left, name, key, tasks);
    }

    /// Tells the members of a lobby that somebody comes or goes.
    ///
    /// Whoever goes can't be told to wait: so many as there are peers may be
    /// queued beyond what else is.
    fn announce(
        &self,
        state: &mut State,
        kind: Kind,
        who: &Nickname,
        key: ClientKey,
        tasks: &TaskTracker,
    ) {
        let Some(namespace) = &self.lobby else {
            return;
        };
        let offset = state.offsets.give();
        let id = RoomId {
            namespace: namespace.clone(),
            room: self.name.clone(),
        };
        let publication = announcement(id, kind, who.clone(), Some(key));
        self.queue(Event::new(publication, offset, Utc::now()), 0, tasks);
    }

    /// Who else is in the lobby; those on other nodes first.
    pub(super) fn others(&self, state: &State, key: ClientKey) -> Vec<Nickname> {
        let members = state.members.iter().filter(|(other, _)| **other != key);
        match self.lobby {
            Some(_) => {
                let here = members.map(|(_, member)| &member.name);
                state.elsewhere.iter().chain(here).cloned().collect()
            }
            None => Vec::new(),
        }
    }

    /// Gives a publication to the one member that it is for.
    ///
    /// At once and from here, unless something that it must come behind is still
    /// queued: so whoever sends much is held up by it, and no queue grows.
    pub(super) fn tell(
        &self,
        mut state: MutexGuard<'_, State>,
        publication: Publication,
        order: Order,
        tasks: &TaskTracker,
    ) -> Result<Offset, Unpublished> {
        let to = match &publication.to {
            To::Peer(name) => state.peers.get(name),
            To::Everybody | To::These(_) => None,
        };
        let peer = match (to.cloned(), order) {
            (Some(peer), _) => peer,
            (None, Order::Here) => return Err((Refused::Nobody, publication.into())),
            // It is on another node.
            (None, Order::Given(offset, _)) => return Ok(offset),
        };
        let offset = state.offsets.last();
        let waits = match (peer.takes_signal(&publication.sender), order) {
            (Some(waits), _) => waits,
            // Refuse the sender; do not close the receiver.
            (None, Order::Here) => return Err((Refused::Busy, publication.into())),
            (None, Order::Given(offset, _)) => {
                metrics::counter!("roomcast_signals_dropped_total").increment(1);
                return Ok(offset);
            }
        };
        let shard = &self.shards[LOBBY_SHARD];
        let sender = state.peers.get(&publication.sender);
        let behind = sender.map_or(0, |sender| sender.last).max(peer.last);
        // What comes from another node comes behind all that came before it.
        if order == Order::Here && shard.has_done(behind) {
            let sender = sender.cloned();
            drop(state);
            let event = Event::new(publication, offset, Utc::now()).counted_by(waits);
            peer.deliver(sender.as_ref(), &Arc::new(event));
            return Ok(offset);
        }
        if !shard.takes_items() {
            return Err((Refused::Busy, publication.into()));
        }
        let sender = publication.sender.clone();
        let event = Event::new(publication, offset, Utc::now()).counted_by(waits);
        let item = Item::For(peer.client.key(), Arc::new(event));
        let number = shard.push(item, tasks);
        state.has_done(&sender, number);
        Ok(offset)
    }
}

impl Peer {
    fn key(&self) -> ClientKey {
        self.client.key()
    }

    /// Counts another signal for this peer until the returned value is dropped; `None` if the
    /// peer can't take one now.
    fn takes_signal(&self, sender: &Nickname) -> Option<Arc<()>> {
        let has_room = catch(SINK, || self.client.outlet().has_room());
        if has_room != Some(true) {
            return None;
        }
        let mut signals = self.signals.lock().expect("no code panics under this lock");
        signals.take(sender)
    }

    /// Gives it what another peer sends, unless one of them has left.
    fn deliver(&self, sender: Option<&Self>, event: &Arc<Event>) {
        let sender = sender.filter(|sender| sender.key() != self.key());
        let mut both: Vec<&Self> = sender.into_iter().chain([self]).collect();
        // Two may write to each other at the same time.
        both.sort_by_key(|peer| peer.key());
        let delivered = {
            let left: Vec<_> = both.iter().map(|peer| peer.lock_left()).collect();
            if left.iter().any(|left| **left) {
                return;
            }
            calls_sink(|| self.client.outlet().deliver(event))
        };
        if let Err(reason) = delivered {
            self.client.close(reason);
        }
    }

    fn lock_left(&self) -> MutexGuard<'_, bool> {
        self.left.lock().expect("no code panics under this lock")
    }
}

impl State {
    /// Nothing is written to the peer from outside of the queue any more, nor
    /// what it sends to others: once this is done, both have left.
    pub(super) fn mute(&self, who: &Nickname, key: ClientKey) {
        let peer = self.peers.get(who).filter(|peer| peer.key() == key);
        if let Some(peer) = peer {
            *peer.lock_left() = true;
        }
    }

    /// Whether a client that publishes is still there.
    pub(super) fn has_sender(&self, publication: &Publication) -> bool {
        let origin = publication.origin;
        origin.is_none_or(|key| self.members.contains_key(&key))
    }

    /// The last thing that a peer did has this number in the queue.
    pub(super) fn has_done(&mut self, who: &Nickname, number: u64) {
        if let Some(peer) = self.peers.get_mut(who) {
            peer.last = number;
        }
    }
}

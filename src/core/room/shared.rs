//! A room that is on other nodes as well: what it is told from outside. Knows no
//! other node, only that there are some.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::Utc;
use tokio_util::task::TaskTracker;

use super::joining::Arrived;
use super::lobby::announcement;
use super::{Room, State};
use crate::core::broker::Presence;
use crate::core::durable::Contents;
use crate::core::event::{Event, Kind, Offset, Order, Publication, To};
use crate::core::name::{Nickname, RoomId};
use crate::core::namespace::Namespace;
use crate::core::terms::{Keeps, Terms};

/// What a room is loaded with.
#[derive(Debug)]
pub struct Loaded {
    /// The last offset that is covered by it.
    pub at: Offset,
    /// What it keeps; none: what it has is right.
    pub contents: Option<Contents>,
    /// What was laid down for it, if it was created.
    pub terms: Option<Terms>,
    /// Of a lobby: the peers on other nodes, those who came first first.
    pub elsewhere: Vec<Nickname>,
    /// Whether peers that are not listed have left, and are not only unknown.
    pub is_complete: bool,
}

impl Room {
    /// Whether whoever knows the other nodes is to be told of it; once.
    pub(in crate::core) fn is_to_be_followed(&self) -> bool {
        self.shared && !self.followed.swap(true, Ordering::Relaxed)
    }

    /// Takes what the other nodes know of it; false if that is of another room, since
    /// this one was deleted.
    pub(in crate::core) fn load(
        &self,
        loaded: Loaded,
        spec: &Namespace,
        tasks: &TaskTracker,
    ) -> bool {
        let mut state = self.lock();
        if state.closed {
            return true;
        }
        if let Some(terms) = loaded.terms
            && *self.terms.get_or_init(|| terms.clone()) != terms
        {
            return false;
        }
        state.offsets.follow(loaded.at);
        if let Some(contents) = loaded.contents {
            let keeps = Keeps::of(self.terms.get(), spec);
            state.kept.clear();
            state.kept.restore(contents, keeps);
            let joins = state.joins;
            state.early.kept_no_more(joins);
        }
        let first = std::mem::take(&mut state.loading);
        if self.lobby.is_none() {
            // Its members are not told who else comes and goes.
            return true;
        }
        let before = std::mem::replace(&mut state.elsewhere, loaded.elsewhere);
        if first {
            return true;
        }
        let id = RoomId {
            namespace: spec.name.clone(),
            room: self.name.clone(),
        };
        let is_new = |name: &&Nickname| !before.contains(name);
        let came: Vec<_> = state.elsewhere.iter().filter(is_new).cloned().collect();
        for name in came {
            self.announce_one(&state, &id, Kind::Joined, name, tasks);
        }
        for name in before {
            if state.elsewhere.contains(&name) {
                continue;
            }
            if loaded.is_complete {
                self.announce_one(&state, &id, Kind::Left, name, tasks);
            } else {
                state.elsewhere.push(name);
            }
        }
        true
    }

    fn announce_one(
        &self,
        state: &State,
        id: &RoomId,
        kind: Kind,
        who: Nickname,
        tasks: &TaskTracker,
    ) {
        let publication = announcement(id.clone(), kind, who, None);
        let event = Event::new(publication, state.offsets.last(), Utc::now());
        self.queue(event, 0, tasks);
    }

    /// How many of those who came first have heard the publication before.
    pub(super) fn heard_by(
        &self,
        state: &mut State,
        publication: &Publication,
        order: Order,
    ) -> u64 {
        match (publication.id, order) {
            (Some(id), Order::Here) if self.shared => {
                let joins = state.joins;
                let has_place = publication.to == To::Everybody;
                state.early.add(id, joins, has_place);
                0
            }
            (Some(id), Order::Given(..)) => self.comes_back(state, id),
            _ => 0,
        }
    }

    /// Whether what is for some members only was told them before.
    pub(super) fn has_heard(
        &self,
        state: &mut State,
        publication: &Publication,
        order: Order,
    ) -> bool {
        // Nobody who came later is meant.
        self.heard_by(state, publication, order) > 0
    }

    /// Whether an event is none any more for those who are in a lobby: they know
    /// already that the peer has come, or gone.
    pub(super) fn is_known(&self, state: &State, publication: &Publication) -> bool {
        if !self.shared || self.lobby.is_none() {
            return false;
        }
        let who = &publication.sender;
        match (publication.kind, publication.origin) {
            (Kind::Joined, Some(key)) => !state.arrivals.contains_key(&key),
            (Kind::Joined, None) => state.elsewhere.contains(who),
            (Kind::Left, None) => !state.elsewhere.contains(who),
            _ => false,
        }
    }

    /// What an event of a lobby says of its peers.
    pub(super) fn takes_note(
        &self,
        state: &mut State,
        event: &Arc<Event>,
        tasks: &TaskTracker,
    ) -> Arrived {
        let publication = &event.publication;
        if !self.shared || self.lobby.is_none() {
            return Arrived::default();
        }
        let who = &publication.sender;
        match (publication.kind, publication.origin) {
            (Kind::Joined, Some(key)) => return self.let_in(state, key, None, tasks),
            (Kind::Joined, None) if !state.elsewhere.contains(who) => {
                state.elsewhere.push(who.clone());
            }
            (Kind::Left, None) => state.elsewhere.retain(|name| name != who),
            _ => {}
        }
        Arrived::default()
    }

    /// Who of this node is in the room, or on the way into it.
    pub(in crate::core) fn present(&self) -> Vec<Presence> {
        let state = self.lock();
        let members = state.members.iter();
        let members = members.map(|(key, member)| (*key, member.name.clone()));
        let arrivals = state.arrivals.iter();
        let arrivals = arrivals.filter(|(key, _)| !state.members.contains_key(key));
        let arrivals = arrivals.map(|(key, arrival)| (*key, arrival.name()));
        let present = members.chain(arrivals);
        present.map(|(key, name)| Presence { key, name }).collect()
    }

    /// What it keeps, and its last offset.
    pub(in crate::core) fn contents(&self) -> (Offset, Contents) {
        let state = self.lock();
        (state.offsets.last(), state.kept.contents())
    }
}

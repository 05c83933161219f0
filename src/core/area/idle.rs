//! The empty rooms of a namespace, in the order in which they are closed: those of the
//! address with the most rooms first, so that one client's rooms do not push out those of
//! others. Does not decide when a room has to be closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::open::Opener;
use crate::core::room::Room;
use crate::core::source::SourceKey;

/// The position of an empty room in the order of closing: first the rooms that keep
/// nothing, then those that keep events; within each group the longest empty ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) keeps: bool,
    pub(super) emptied: u64,
}

impl Turn {
    const FIRST_THAT_KEEPS: Self = Self {
        keeps: true,
        emptied: 0,
    };
}

#[derive(Default)]
pub(super) struct Idle {
    rooms: BTreeMap<Turn, (Arc<Room>, Opener)>,
    by_source: HashMap<SourceKey, SourceRooms>,
    /// The addresses, ordered by the number of rooms with events that they have opened.
    keeping: BTreeSet<(usize, SourceKey)>,
}

/// The empty rooms that clients of one address have opened.
#[derive(Default)]
struct SourceRooms {
    keeping_nothing: BTreeSet<Turn>,
    keeping: BTreeSet<Turn>,
}

impl SourceRooms {
    fn of(&mut self, turn: Turn) -> &mut BTreeSet<Turn> {
        match turn.keeps {
            true => &mut self.keeping,
            false => &mut self.keeping_nothing,
        }
    }
}

impl Idle {
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn add(&mut self, turn: Turn, room: Arc<Room>, opener: Opener) {
        self.rooms.insert(turn, (room, opener));
        if let Some(source) = opener.source() {
            self.change(source, |rooms| rooms.of(turn).insert(turn));
        }
    }

    pub(super) fn remove(&mut self, turn: Turn) -> Option<Arc<Room>> {
        let (room, opener) = self.rooms.remove(&turn)?;
        if let Some(source) = opener.source() {
            self.change(source, |rooms| rooms.of(turn).remove(&turn));
        }
        Some(room)
    }

    fn change(&mut self, source: SourceKey, change: impl FnOnce(&mut SourceRooms) -> bool) {
        let rooms = self.by_source.entry(source).or_default();
        self.keeping.remove(&(rooms.keeping.len(), source));
        change(rooms);
        let count = rooms.keeping.len();
        if count == 0 && rooms.keeping_nothing.is_empty() {
            self.by_source.remove(&source);
        }
        if count > 0 {
            self.keeping.insert((count, source));
        }
    }

    /// The room to close next.
    pub(super) fn next(&self) -> Option<Turn> {
        let (first, _) = self.rooms.first_key_value()?;
        match first.keeps {
            // It keeps nothing, so nothing is lost.
            false => Some(*first),
            true => self.next_that_keeps(None),
        }
    }

    /// The room to close next among those that keep events, but never `spared`: the longest
    /// empty one of the address that has opened the most of them; if no address has opened
    /// several, the longest empty one of all.
    pub(super) fn next_that_keeps(&self, spared: Option<&Arc<Room>>) -> Option<Turn> {
        let is_spared = |turn: &Turn| {
            let room = self.rooms.get(turn).map(|(room, _)| room);
            room.zip(spared)
                .is_some_and(|(room, spared)| Arc::ptr_eq(room, spared))
        };
        let most = self.keeping.last().filter(|(count, _)| *count > 1);
        let of_most = most.and_then(|(_, source)| {
            let mut turns = self.by_source[source].keeping.iter();
            turns.find(|turn| !is_spared(turn))
        });
        let mut all = self
            .rooms
            .range(Turn::FIRST_THAT_KEEPS..)
            .map(|(turn, _)| turn);
        of_most
            .or_else(|| all.find(|turn| !is_spared(turn)))
            .copied()
    }

    /// The room to close next among those that clients have opened.
    pub(super) fn next_of_clients(&self) -> Option<Turn> {
        let is_of_client = |turn: &Turn| self.rooms[turn].1.is_client();
        let next = self.next().filter(is_of_client);
        next.or_else(|| self.rooms.keys().copied().find(is_of_client))
    }

    /// The room to close next among those that clients of an address have opened.
    pub(super) fn next_of(&self, source: SourceKey) -> Option<Turn> {
        let rooms = self.by_source.get(&source)?;
        rooms
            .keeping_nothing
            .first()
            .or_else(|| rooms.keeping.first())
            .copied()
    }
}

//! Which rooms a namespace has open, and in which order those are given up that nobody
//! is in. Knows no rule of when that has to be.

use std::collections::HashMap;
use std::sync::Arc;

use super::idle::{Idle, Turn};
use crate::core::durable::Keeping;
use crate::core::name::RoomName;
use crate::core::room::Room;
use crate::core::source::SourceKey;

#[derive(Default)]
pub(super) struct Open {
    pub(super) by_name: HashMap<RoomName, Known>,
    /// How many rooms clients have opened.
    of_clients: usize,
    /// How many rooms the clients of each address have opened.
    by_source: HashMap<SourceKey, usize>,
    /// Rooms that became empty. Some may be in use again.
    pub(super) idle: Idle,
    /// How many times a room became empty.
    emptied: u64,
    /// Of a durable namespace.
    keeping: Option<Arc<Keeping>>,
}

pub(super) struct Known {
    pub(super) room: Arc<Room>,
    opener: Opener,
    /// Its place among the idle ones, if it has one.
    turn: Option<Turn>,
}

/// The opener of a room.
#[derive(Clone, Copy)]
pub(super) enum Opener {
    /// A backend, the feed, or the server itself.
    Server,
    /// A client; `None` if its address has no limits.
    Client(Option<SourceKey>),
}

impl Opener {
    pub(super) fn source(self) -> Option<SourceKey> {
        match self {
            Self::Server => None,
            Self::Client(source) => source,
        }
    }

    pub(super) fn is_client(self) -> bool {
        matches!(self, Self::Client(_))
    }
}

impl Open {
    pub(super) fn new(keeping: Option<Arc<Keeping>>) -> Self {
        Self {
            keeping,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, room: &Arc<Room>, opener: Opener) {
        let known = Known {
            room: room.clone(),
            opener,
            turn: None,
        };
        self.by_name.insert(room.name.clone(), known);
        self.of_clients += usize::from(opener.is_client());
        if let Some(source) = opener.source() {
            *self.by_source.entry(source).or_default() += 1;
        }
    }

    /// Removes a room.
    pub(super) fn remove(&mut self, name: &RoomName) {
        let Some(Known { opener, turn, .. }) = self.by_name.remove(name) else {
            return;
        };
        if let Some(turn) = turn {
            self.idle.remove(turn);
        }
        self.of_clients -= usize::from(opener.is_client());
        if let Some(source) = opener.source()
            && let Some(count) = self.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    /// How many rooms clients have opened.
    pub(super) fn of_clients(&self) -> usize {
        self.of_clients
    }

    /// How many rooms the clients of an address have opened.
    pub(super) fn count_of(&self, source: SourceKey) -> usize {
        self.by_source.get(&source).copied().unwrap_or_default()
    }

    pub(super) fn set_idle(&mut self, room: &Arc<Room>) {
        let Some(known) = self.by_name.get_mut(&room.name) else {
            return;
        };
        // It may have been given up in the meantime, and its name be another's.
        if !Arc::ptr_eq(&known.room, room) {
            return;
        }
        self.emptied += 1;
        let turn = Turn {
            keeps: room.keeps(),
            emptied: self.emptied,
        };
        if let Some(old) = known.turn.replace(turn) {
            self.idle.remove(old);
        }
        self.idle.add(turn, room.clone(), known.opener);
    }

    /// Gives up the empty room whose turn it is; false if there is none.
    pub(super) fn give_up_one(&mut self) -> bool {
        self.give_up_by(|idle| idle.next())
    }

    /// Takes the next room off the idle ones, and closes it if it is still empty; returns
    /// false if there is no idle room.
    pub(super) fn settle_next(&mut self) -> bool {
        let next = self.idle.next();
        next.map(|turn| self.give_up(turn)).is_some()
    }

    /// As [`Open::give_up_one`], for the rooms that clients of an address have opened.
    pub(super) fn give_up_one_of(&mut self, source: SourceKey) -> bool {
        self.give_up_by(|idle| idle.next_of(source))
    }

    /// As [`Open::give_up_one`], for the rooms that clients have opened.
    pub(super) fn give_up_one_of_clients(&mut self) -> bool {
        self.give_up_by(|idle| idle.next_of_clients())
    }

    /// Closes the first room that `choice` returns and that is still empty; returns false
    /// if there is none.
    pub(super) fn give_up_by(&mut self, choice: impl Fn(&Idle) -> Option<Turn>) -> bool {
        while let Some(turn) = choice(&self.idle) {
            if self.give_up(turn) {
                return true;
            }
        }
        false
    }

    /// Takes a room off the idle ones, and gives it up unless it is in use
    /// again: then it has a new turn once it is emptied again.
    fn give_up(&mut self, turn: Turn) -> bool {
        let Some(room) = self.idle.remove(turn) else {
            return false;
        };
        if let Some(known) = self.by_name.get_mut(&room.name) {
            known.turn = None;
        }
        let given_up = room.close_if_empty();
        if given_up {
            self.remove(&room.name);
            if let Some(keeping) = &self.keeping {
                keeping.changed(&room.name);
            }
        }
        given_up
    }
}

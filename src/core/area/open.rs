//! Which rooms a namespace has open, and in which order those are given up that nobody
//! is in. Knows no rule of when that has to be.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::core::durable::Keeping;
use crate::core::name::RoomName;
use crate::core::room::Room;

#[derive(Default)]
pub(super) struct Open {
    pub(super) by_name: HashMap<RoomName, Known>,
    /// Rooms that became empty, in the order in which they are to be given up;
    /// some are in use again.
    pub(super) idle: BTreeMap<Turn, Arc<Room>>,
    /// How many times a room became empty.
    emptied: u64,
    /// Of a durable namespace.
    keeping: Option<Arc<Keeping>>,
}

pub(super) struct Known {
    pub(super) room: Arc<Room>,
    /// Its place among the idle ones, if it has one.
    turn: Option<Turn>,
}

/// When an empty room is to be given up: first those that keep nothing, and of
/// these and of the others those first that are empty for longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    keeps: bool,
    emptied: u64,
}

impl Turn {
    pub(super) const FIRST_THAT_KEEPS: Self = Self {
        keeps: true,
        emptied: 0,
    };
}

impl Open {
    pub(super) fn new(keeping: Option<Arc<Keeping>>) -> Self {
        Self {
            keeping,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, room: &Arc<Room>) {
        let known = Known {
            room: room.clone(),
            turn: None,
        };
        self.by_name.insert(room.name.clone(), known);
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
            self.idle.remove(&old);
        }
        self.idle.insert(turn, room.clone());
    }

    /// Gives up the empty room whose turn it is; false if there is none.
    pub(super) fn give_up_one(&mut self) -> bool {
        while let Some(given_up) = self.give_up_next() {
            if given_up {
                return true;
            }
        }
        false
    }

    /// As [`Open::give_up`] for the room whose turn it is; nothing if there is
    /// none.
    pub(super) fn give_up_next(&mut self) -> Option<bool> {
        let (turn, _) = self.idle.first_key_value()?;
        self.give_up(*turn)
    }

    /// Takes a room off the idle ones, and gives it up unless it is in use
    /// again: then it has a new turn once it is emptied again.
    pub(super) fn give_up(&mut self, turn: Turn) -> Option<bool> {
        let room = self.idle.remove(&turn)?;
        let given_up = room.close_if_empty();
        if given_up {
            self.by_name.remove(&room.name);
            if let Some(keeping) = &self.keeping {
                keeping.changed(&room.name);
            }
        } else if let Some(known) = self.by_name.get_mut(&room.name) {
            known.turn = None;
        }
        Some(given_up)
    }
}

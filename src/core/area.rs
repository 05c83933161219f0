//! The rooms of one namespace: made when needed, given up when nobody needs them.
//! Knows the namespace's rooms only; who may do what in them is the hub's matter.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::Error;
use super::name::RoomName;
use super::namespace::{Namespace, Rooms};
use super::room::Room;

/// The most rooms that a namespace holds at once.
///
/// An empty room with a full history is about 1 MiB at worst, 1 KiB usually.
const ROOMS_MOST: usize = 10_000;

/// How many empty rooms are kept, for members who lost connection: also those
/// without events, whose offsets are good to come back with.
const IDLE_MOST: usize = 1_000;

pub(super) struct Area {
    pub(super) spec: Namespace,
    shards: usize,
    /// Guards which rooms there are; never held while a room is at work.
    rooms: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_name: HashMap<RoomName, Known>,
    /// Rooms that became empty, in the order in which they are to be given up;
    /// some are in use again.
    idle: BTreeMap<Turn, Arc<Room>>,
    /// How many times a room became empty.
    emptied: u64,
}

struct Known {
    room: Arc<Room>,
    /// Its place among the idle ones, if it has one.
    turn: Option<Turn>,
}

/// When an empty room is to be given up: first those that keep nothing, and of
/// these and of the others those first that are empty for longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    keeps: bool,
    emptied: u64,
}

impl Area {
    pub(super) fn new(spec: Namespace) -> Self {
        Self {
            spec,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            rooms: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.rooms.lock().expect("no code panics under this lock")
    }

    /// The room, made where it is not there yet.
    pub(super) fn open(&self, name: &RoomName) -> Result<Arc<Room>, Error> {
        if let Rooms::Fixed(known) = &self.spec.rooms
            && !known.contains(name)
        {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            return Err(Error::UnknownRoom {
                room: name.to_string(),
                known: known.join(", "),
            });
        }
        let mut open = self.lock();
        if let Some(known) = open.by_name.get(name) {
            return Ok(known.room.clone());
        }
        if open.by_name.len() >= ROOMS_MOST && !open.give_up_one() {
            return Err(Error::Full(self.spec.name.to_string()));
        }
        let room = Arc::new(Room::new(name.clone(), self.shards));
        let known = Known {
            room: room.clone(),
            turn: None,
        };
        open.by_name.insert(name.clone(), known);
        Ok(room)
    }

    /// The room, if it is there.
    pub(super) fn find(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.lock()
            .by_name
            .get(name)
            .map(|known| known.room.clone())
    }

    /// How many rooms there are.
    pub(super) fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    /// Keeps a room that has become empty for a while: longer than those that
    /// were emptied before it.
    pub(super) fn emptied(&self, room: &Arc<Room>) {
        if matches!(self.spec.rooms, Rooms::Fixed(_)) {
            return;
        }
        let mut open = self.lock();
        open.set_idle(room);
        while open.idle.len() > IDLE_MOST && open.give_up_next().is_some() {}
    }
}

impl Open {
    fn set_idle(&mut self, room: &Arc<Room>) {
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
    fn give_up_one(&mut self) -> bool {
        while let Some(given_up) = self.give_up_next() {
            if given_up {
                return true;
            }
        }
        false
    }

    /// Takes the next one off the idle rooms, and gives it up unless it is in
    /// use again: then it has a new turn once it is emptied again.
    fn give_up_next(&mut self) -> Option<bool> {
        let (_, room) = self.idle.pop_first()?;
        let given_up = room.close_if_empty();
        if given_up {
            self.by_name.remove(&room.name);
        } else if let Some(known) = self.by_name.get_mut(&room.name) {
            known.turn = None;
        }
        Some(given_up)
    }
}

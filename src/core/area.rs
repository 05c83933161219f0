//! The rooms of one namespace: made when needed, given up when nobody needs them.
//! Knows the namespace's rooms only; who may do what in them is the hub's matter.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::Error;
use super::name::RoomName;
use super::namespace::{Namespace, Rooms};
use super::room::Room;

/// The most rooms that a namespace holds at once.
///
/// An empty room with a full history is about 1 MiB at worst, 1 KiB usually.
const ROOMS_MOST: usize = 10_000;

/// How many empty rooms keep their history, for members who lost connection.
const IDLE_MOST: usize = 1_000;

pub(super) struct Area {
    pub(super) spec: Namespace,
    shards: usize,
    /// Guards which rooms there are; never held while a room is at work.
    rooms: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_name: HashMap<RoomName, Arc<Room>>,
    /// Rooms that became empty, the earliest first; some are in use again.
    idle: VecDeque<Arc<Room>>,
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
        if let Some(room) = open.by_name.get(name) {
            return Ok(room.clone());
        }
        if open.by_name.len() >= ROOMS_MOST && !open.give_up_oldest() {
            return Err(Error::Full(self.spec.name.to_string()));
        }
        let room = Arc::new(Room::new(name.clone(), self.shards));
        open.by_name.insert(name.clone(), room.clone());
        Ok(room)
    }

    /// The room, if it is there.
    pub(super) fn find(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.lock().by_name.get(name).cloned()
    }

    /// How many rooms there are.
    pub(super) fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    /// Gives a room up that has become empty, or keeps it for a while.
    pub(super) fn emptied(&self, room: &Arc<Room>) {
        if matches!(self.spec.rooms, Rooms::Fixed(_)) {
            return;
        }
        let mut open = self.lock();
        if room.close_if_empty(false) {
            open.forget(room);
            return;
        }
        if !open.idle.iter().any(|idle| Arc::ptr_eq(idle, room)) {
            open.idle.push_back(room.clone());
        }
        while open.idle.len() > IDLE_MOST && open.give_up_oldest() {}
    }
}

impl Open {
    fn forget(&mut self, room: &Arc<Room>) {
        let same = |known: &Arc<Room>| Arc::ptr_eq(known, room);
        if self.by_name.get(&room.name).is_some_and(same) {
            self.by_name.remove(&room.name);
        }
    }

    /// Gives up the room that has been empty for longest; false if there is none.
    fn give_up_oldest(&mut self) -> bool {
        while let Some(room) = self.idle.pop_front() {
            if room.close_if_empty(true) {
                self.forget(&room);
                return true;
            }
        }
        false
    }
}

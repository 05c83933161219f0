//! What a store asks of the hub: the durable rooms, as they are; and what it gives
//! back. Knows no store.

use std::sync::Arc;

use super::Hub;
use crate::core::area::Area;
use crate::core::durable::Snapshot;
use crate::core::event::Event;
use crate::core::name::{NamespaceName, RoomName};

impl Hub {
    /// Takes what a store had, but of rooms in which something was published since.
    pub fn restore(&self, stored: Vec<Snapshot>) {
        for snapshot in stored {
            let area = self.areas.get(&snapshot.namespace);
            if let Some(area) = area.filter(|area| area.is_kept_here()) {
                area.restore(snapshot, &self.tasks);
            }
        }
    }

    /// Whether the rooms of a namespace outlive the process by what this node writes.
    pub fn is_durable(&self, namespace: &NamespaceName) -> bool {
        let area = self.areas.get(namespace);
        area.is_some_and(|area| area.is_kept_here())
    }

    /// The rooms that outlive the process.
    pub fn durable_rooms(&self) -> Vec<(NamespaceName, RoomName)> {
        let rooms_of = |(name, area): (&NamespaceName, &Arc<Area>)| {
            let name = name.clone();
            let rooms = area.durable_rooms().into_iter();
            rooms.map(move |room| (name.clone(), room))
        };
        self.areas.iter().flat_map(rooms_of).collect()
    }

    /// What is to be written down of a room; nothing if it is not there.
    pub fn snapshot(&self, namespace: &NamespaceName, room: &RoomName) -> Option<Snapshot> {
        let area = self.areas.get(namespace)?;
        Some(area.find(room)?.snapshot(&area.spec))
    }

    /// A snapshot was written down: the numbers below its limit are reserved.
    pub fn reserved(&self, snapshot: &Snapshot) {
        let area = self.areas.get(&snapshot.namespace);
        if let Some(room) = area.and_then(|area| area.find(&snapshot.room)) {
            room.reserved(snapshot.epoch, snapshot.limit);
        }
    }

    /// The event that a room retains under a key.
    pub fn retained(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        key: &str,
    ) -> Option<Arc<Event>> {
        let area = self.areas.get(namespace)?;
        area.find(room)?.retained(key)
    }
}

//! What those who know the other nodes tell the hub, and ask it. Knows no broker: only
//! that there may be one that joins nodes.

use std::sync::Arc;

use uuid::Uuid;

use super::Hub;
use crate::core::area::Area;
use crate::core::broker::{Cluster, Presence};
use crate::core::client::ClientKey;
use crate::core::durable::Contents;
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::name::{RoomId, RoomName};
use crate::core::presence::{Clients, Page};
use crate::core::room::{Arrived, Loaded, Newcomer, Refused, Room, Turned, Welcome};

/// How it ended that a client came into a room, as far as other nodes are concerned.
#[derive(Debug)]
pub enum Entered {
    /// It is in, and so many are, on all nodes; none: nobody knows how many.
    In(Option<usize>),
    /// It does not get in.
    Refused(Error),
}

impl Hub {
    /// Opens the rooms that are there whether anybody is in them or not, where they
    /// are on other nodes as well. Called once that can be asked.
    pub fn open_fixed(&self) {
        for area in self.areas.values() {
            for name in area.fixed() {
                if let (Some(cluster), Ok(room)) = (self.broker.cluster(), area.open(name)) {
                    follow(cluster, area, &room);
                }
            }
        }
    }

    /// Whether there may be other nodes.
    pub fn has_other_nodes(&self) -> bool {
        self.broker.cluster().is_some()
    }

    /// Whether a room of this name is there on this node.
    pub fn is_open(&self, id: &RoomId) -> bool {
        self.found(id).is_some()
    }

    /// Whether clients of this node are in a room, or on the way into it.
    pub fn is_in_use(&self, id: &RoomId) -> bool {
        self.found(id).is_some_and(|(_, room)| !room.is_empty())
    }

    /// A page of this node's clients in a room, and their total number.
    pub fn clients_here(&self, id: &RoomId, page: Page) -> Clients {
        match self.areas.get(&id.namespace) {
            Some(area) => area.clients(&id.room, page),
            None => page.of([], 0),
        }
    }

    /// Whether a client of this node is in a room, or on the way into it.
    pub fn is_there(&self, id: &RoomId, key: ClientKey) -> bool {
        let found = self.found(id);
        found.is_some_and(|(_, room)| room.name_of(key).is_some())
    }

    /// All clients of this node that are in a room, or on the way into it.
    pub fn present(&self, id: &RoomId) -> Vec<Presence> {
        let found = self.found(id);
        found.map_or_else(Vec::new, |(_, room)| room.present())
    }

    /// What a room keeps, and its last offset.
    pub fn contents(&self, id: &RoomId) -> Option<(Offset, Contents)> {
        let (_, room) = self.found(id)?;
        Some(room.contents())
    }

    /// A room has these contents, and goes on behind them; false if they are of another
    /// room of its name, since the one that is here was deleted.
    pub fn load(&self, id: &RoomId, loaded: Loaded) -> bool {
        match self.found(id) {
            Some((area, room)) => {
                let is_same = room.load(loaded, &area.spec, &self.tasks);
                area.published_in(&room);
                is_same
            }
            None => true,
        }
    }

    /// The members of a room on this node have received the event with this id before the other
    /// nodes; Redis will deliver it again.
    pub fn received_early(&self, id: &RoomId, event: Uuid) {
        if let Some((_, room)) = self.found(id) {
            room.received_early(event);
        }
    }

    /// Redis will not deliver again an event that members on this node received early.
    pub fn comes_no_more(&self, id: &RoomId, event: Uuid) {
        if let Some((_, room)) = self.found(id) {
            room.comes_no_more(event);
        }
    }

    /// A node has lost events of a room before they reached the other nodes. Closes the members
    /// that missed them; no client can recover from before this offset.
    pub fn has_lost(&self, id: &RoomId, offset: Offset, event: Uuid) {
        if let Some((_, room)) = self.found(id) {
            room.has_lost(offset, event, &self.tasks);
        }
    }

    /// A client of this node has come into a room, as far as other nodes are concerned.
    pub fn entered(&self, id: &RoomId, key: ClientKey, entered: Entered) {
        let Some((area, room)) = self.found(id) else {
            return;
        };
        match entered {
            Entered::In(total) => {
                let arrived = room.arrived(key, total, &self.tasks);
                self.have_arrived(area, &id.room, arrived);
            }
            Entered::Refused(error) => {
                let arrived = room.turned_away(key, error, &self.tasks);
                self.have_arrived(area, &id.room, arrived);
                if room.is_empty() {
                    area.emptied(&room);
                }
            }
        }
    }

    /// There is no such room any more, on no node: its members learn it behind its
    /// last event, and who is on the way into it does not get in.
    pub fn end(&self, id: &RoomId) {
        let Some((area, room)) = self.found(id) else {
            return;
        };
        area.remove(&room);
        room.end(&self.tasks);
        let error = Error::NotCreated(id.room.to_string());
        // Nobody is to be told who has left: with the room all of them have.
        for arrived in room.all_turned_away(&error, &self.tasks) {
            if let Some(turned) = arrived.refused {
                turn_away(&id.room, turned);
            }
        }
    }

    /// The members of a room have missed something for good: they are closed, so that
    /// they come back and learn what there is.
    pub fn let_down(&self, id: &RoomId) {
        if let Some((_, room)) = self.found(id) {
            room.let_down(&self.tasks);
        }
    }

    pub(super) fn arrives(
        &self,
        cluster: &dyn Cluster,
        newcomer: Newcomer,
        room: &Arc<Room>,
        welcome: Welcome,
    ) -> Result<(), (Refused, Welcome)> {
        if cluster.is_busy() {
            return Err((Refused::Busy, welcome));
        }
        let area = newcomer.client.area.clone();
        follow(cluster, &area, room);
        let arriving = room.arrive(newcomer, welcome, &self.tasks)?;
        if let Some(before) = arriving.replaces {
            cluster.exit(area.id(&room.name), before);
        }
        if let Some(who) = arriving.enters {
            cluster.enter(area.id(&room.name), who);
        }
        Ok(())
    }

    pub(super) fn have_arrived(&self, area: &Arc<Area>, room: &RoomName, arrived: Arrived) {
        if let (Some(cluster), false) = (self.broker.cluster(), arrived.left.is_empty()) {
            for who in arrived.left {
                cluster.exit(area.id(room), who);
            }
            if let Some(room) = area.find(room).filter(|room| room.is_empty()) {
                area.emptied(&room);
            }
        }
        if let Some(turned) = arrived.refused {
            turn_away(room, turned);
        }
    }

    fn found(&self, id: &RoomId) -> Option<(&Arc<Area>, Arc<Room>)> {
        let area = self.areas.get(&id.namespace)?;
        Some((area, area.find(&id.room)?))
    }
}

fn follow(cluster: &dyn Cluster, area: &Area, room: &Room) {
    if room.is_to_be_followed() {
        cluster.follow(area.id(&room.name));
    }
}

fn turn_away(room: &RoomName, turned: Turned) {
    turned.client.is_not_in(room);
    turned.tell();
}

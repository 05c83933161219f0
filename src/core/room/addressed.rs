//! A room as what some of its members are told alone, and what all of them are once
//! it is deleted. Knows members by their keys, and no names.

use std::sync::Arc;

use chrono::Utc;
use tokio_util::task::TaskTracker;

use super::{Refused, Room, Unpublished};
use crate::core::client::{Client, ClientKey};
use crate::core::event::{Event, Offset, Order, Publication};
use crate::core::outlet::CloseReason;
use crate::core::shard::Item;

impl Room {
    /// Gives a publication to those of these clients that are members; in its place
    /// among the events of the room, but with no offset, and kept nowhere.
    pub(in crate::core) fn tell_these(
        &self,
        these: &[ClientKey],
        publication: Publication,
        order: Order,
        tasks: &TaskTracker,
    ) -> Result<Offset, Unpublished> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refused::Closed, publication.into()));
        }
        if !self.is_meant(&publication) {
            return Err((Refused::Another, publication.into()));
        }
        if !self.takes_events() {
            return Err((Refused::Busy, publication.into()));
        }
        if self.has_heard(&mut state, &publication, order) {
            return Ok(state.offsets.last());
        }
        let mut in_shards = vec![Vec::new(); self.shards.len()];
        for key in these {
            if let Some(member) = state.members.get(key) {
                in_shards[member.shard].push(*key);
            }
        }
        let offset = state.offsets.last();
        let event = Arc::new(Event::new(publication, offset, Utc::now()));
        let told = self.shards.iter().zip(in_shards);
        for (shard, keys) in told.filter(|(_, keys)| !keys.is_empty()) {
            shard.push(Item::These(keys, event.clone()), tasks);
        }
        Ok(offset)
    }

    /// Closes the members that joined after the first `others`, once they have received the events
    /// in their queues. Called under the room's lock.
    pub(super) fn close_joined_behind(
        &self,
        others: u64,
        reason: CloseReason,
        tasks: &TaskTracker,
    ) {
        for shard in &self.shards {
            let close = Box::new(move |client: &Arc<Client>| client.close(reason));
            shard.push(Item::Each(close, others), tasks);
        }
    }

    /// Ends the room for good; its members learn it behind the last event.
    ///
    /// It takes nothing more, as a room that was given up.
    pub(in crate::core) fn end(self: &Arc<Self>, tasks: &TaskTracker) {
        let mut state = self.lock();
        state.closed = true;
        state.kept.clear();
        // The members stay: who leaves is answered behind what is queued for it.
        for shard in &self.shards {
            let room = self.clone();
            let tell = Box::new(move |client: &Arc<Client>| client.loses(&room));
            shard.push(Item::End(tell), tasks);
        }
    }
}

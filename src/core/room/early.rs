//! Events that the members of a shared room received before the other nodes, during an outage.
//! Redis delivers each of them again, with the offset that it has on all nodes. Until then these
//! members receive offsets from which no client can recover.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Room, State};
use crate::core::event::{Epoch, Event, Offset};
use crate::core::outlet::CloseReason;

/// How many early events a room recognises: twice the most that wait for Redis, since those of one
/// outage may not have come back when the next one begins.
const EARLY_MOST: usize = 20_000;

/// The early events of one room.
///
/// Until all of them have come back, the members that received them have another order of events
/// than the room's stream: no offset of the stream says what they have received.
#[derive(Default)]
pub(super) struct Early {
    by_id: HashMap<Uuid, Entry>,
    /// The ids by the number of their entry: the oldest first.
    ids: BTreeMap<u64, Uuid>,
    /// The number of the next entry.
    next: u64,
    /// The first entry whose event is among the events that the room retains or has in its history.
    kept_from: u64,
    /// How many of the events will come back with an offset.
    placed: usize,
    /// The number of the last member that has received any event with an offset early.
    ahead: u64,
    /// The epoch of the offsets that these members receive in the meantime.
    epoch: Option<Epoch>,
}

struct Entry {
    number: u64,
    /// The members that have received it: those with numbers up to this one.
    joins: u64,
    has_place: bool,
}

impl Early {
    /// Adds an event that the first `joins` members have received. It will come back with an offset
    /// if `has_place`.
    pub(super) fn add(&mut self, id: Uuid, joins: u64, has_place: bool) {
        self.take(id);
        if self.ids.len() >= EARLY_MOST
            && let Some((_, oldest)) = self.ids.first_key_value()
        {
            self.take(*oldest);
        }
        let entry = Entry {
            number: self.next,
            joins,
            has_place,
        };
        self.ids.insert(self.next, id);
        self.by_id.insert(id, entry);
        self.next += 1;
        if has_place {
            self.placed += 1;
            self.ahead = self.ahead.max(joins);
        }
    }

    /// The contents of the stream replace those of the room. All members that have joined so far
    /// received the early events that the room kept.
    pub(super) fn kept_no_more(&mut self, joins: u64) {
        for id in self.ids.range(self.kept_from..).map(|(_, id)| id) {
            if let Some(entry) = self.by_id.get_mut(id) {
                entry.joins = joins;
                if entry.has_place {
                    self.ahead = joins;
                }
            }
        }
        self.kept_from = self.next;
    }

    /// Removes an event that has come back, or never will. Returns how many members have received
    /// it, if it was an early one.
    pub(super) fn take(&mut self, id: Uuid) -> Option<u64> {
        let entry = self.by_id.remove(&id)?;
        self.ids.remove(&entry.number);
        self.placed -= usize::from(entry.has_place);
        if self.placed == 0 {
            (self.ahead, self.epoch) = (0, None);
        }
        Some(entry.joins)
    }

    /// The number of the last member whose order of events differs from the stream; 0 if there is
    /// none.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Returns the offset that such members receive in place of one of the stream: no client can
    /// recover from it.
    pub(super) fn in_place_of(&mut self, offset: Offset) -> Offset {
        Offset {
            epoch: *self.epoch.get_or_insert_with(Epoch::random),
            ..offset
        }
    }
}

impl Room {
    /// All present members have received the event; it will come back.
    pub(in crate::core) fn received_early(&self, event: Uuid) {
        let mut state = self.lock();
        let joins = state.joins;
        state.early.add(event, joins, true);
    }

    /// An early event will not come back.
    pub(in crate::core) fn comes_no_more(&self, event: Uuid) {
        self.comes_back(&mut self.lock(), event);
    }

    /// A node has lost events before this offset. Closes the members, except those that have
    /// received the lost events: their node has added `id` as an early event.
    pub(in crate::core) fn has_lost(&self, offset: Offset, id: Uuid, tasks: &TaskTracker) {
        let mut state = self.lock();
        if state.closed || state.loading {
            return;
        }
        state.offsets.follow(offset);
        state.kept.lose_before(offset.number);
        let received_by = self.comes_back(&mut state, id);
        self.close_joined_behind(received_by, CloseReason::Behind, tasks);
    }

    /// Closes all members: they have missed events that nobody has any more.
    pub(in crate::core) fn let_down(&self, tasks: &TaskTracker) {
        let mut state = self.lock();
        // The members that join from now on have received nothing early.
        state.early = Early::default();
        self.close_joined_behind(0, CloseReason::Behind, tasks);
    }

    /// Queues an event for the members that have not received it. Members whose order differs from
    /// the stream receive it without the stream's offset. Returns its number in the first queue.
    pub(super) fn queue_in_order(
        &self,
        state: &mut State,
        event: &Arc<Event>,
        received_by: u64,
        tasks: &TaskTracker,
    ) -> Option<u64> {
        let ahead = match self.lobby {
            None if self.shared => state.early.ahead(),
            _ => 0,
        };
        let mut number = None;
        if received_by < ahead {
            let offset = state.early.in_place_of(event.offset);
            let apart = Event::new(event.publication.clone(), offset, event.time);
            number = Some(self.queue_for(apart, received_by + 1..=ahead, tasks));
        }
        let others = received_by.max(ahead);
        if state.joins > others {
            number = Some(self.queue(event.clone(), others, tasks));
        }
        number
    }

    /// An early event has come back, or never will. Returns how many members, the first to join,
    /// have received it.
    pub(super) fn comes_back(&self, state: &mut State, id: Uuid) -> u64 {
        let ahead = state.early.ahead();
        let received_by = state.early.take(id).unwrap_or(0);
        if ahead > 0 && state.early.ahead() == 0 {
            // From here on all members have the stream's order. Not all of them received all
            // events before this point, so they cannot recover from before it.
            let last = state.offsets.last().number;
            let members = state.members.values_mut();
            let were_ahead = members.filter(|member| member.number <= ahead);
            were_ahead.for_each(|member| member.from = last);
        }
        received_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_ahead_until_all_that_has_a_place_has_come_back() {
        let [one, two, told] = [(); 3].map(|()| Uuid::new_v4());
        let mut early = Early::default();
        early.add(one, 3, true);
        early.add(told, 9, false);
        early.add(two, 5, true);
        assert_eq!(early.ahead(), 5);
        assert_eq!(early.take(two), Some(5));
        assert_eq!(early.take(two), None, "each once");
        assert_ne!(early.ahead(), 0);
        assert_eq!(early.take(one), Some(3));
        assert_eq!(early.ahead(), 0, "what has no place is in no order");
        assert_eq!(early.take(told), Some(9));
    }

    #[test]
    fn who_joins_between_two_outages_was_not_sent_the_events_of_the_first() {
        let [first, second] = [(); 2].map(|()| Uuid::new_v4());
        let mut early = Early::default();
        early.add(first, 1, true);
        early.kept_no_more(2);
        early.add(second, 3, true);
        early.kept_no_more(4);
        assert_eq!((early.take(first), early.take(second)), (Some(2), Some(4)));
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many() {
        let ids: Vec<_> = (0..=EARLY_MOST).map(|_| Uuid::new_v4()).collect();
        let mut early = Early::default();
        ids.iter().for_each(|id| early.add(*id, 1, true));
        assert_eq!((early.take(ids[0]), early.take(ids[1])), (None, Some(1)));
        assert_eq!(early.by_id.len(), early.ids.len());
    }
}

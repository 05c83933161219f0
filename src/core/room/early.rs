//! Events that members of a shared room received before the other nodes did. Each comes
//! once more, with the offset that all nodes have for it. Until then its members get offsets that name
//! no place in the room's stream.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Room, State};
use crate::core::event::{Epoch, Event, Offset};
use crate::core::outlet::CloseReason;

/// How many such events a room recognises. Twice as many as wait for the other nodes at
/// most: those of one outage may not have come back when the next one begins.
const EARLY_MOST: usize = 20_000;

/// The early events of one room.
///
/// Until all of them have come back, the members that received them have another order
/// than the stream of the room: no offset of the stream says what they have received.
#[derive(Default)]
pub(super) struct Early {
    by_id: HashMap<Uuid, Entry>,
    /// The ids by the number of their entry, so the oldest first.
    ids: BTreeMap<u64, Uuid>,
    /// The number of the next entry.
    next: u64,
    /// Entries from this number on are in what the room keeps.
    kept_from: u64,
    /// How many entries will come back with an offset.
    placed: usize,
    /// The last member to join that has received any of these.
    ahead: u64,
    /// The epoch of the offsets that those members get meanwhile.
    epoch: Option<Epoch>,
}

struct Entry {
    number: u64,
    /// The members that have received it: so many have joined first.
    joins: u64,
    has_place: bool,
}

impl Early {
    /// The first `joins` members have received the event; it will come back, with an offset
    /// of its own if it has a place.
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

    /// What the room keeps is replaced by what the stream has. Who has joined until now
    /// was sent the early events that the room kept.
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

    /// The event has come back, or never will: how many members have received it, if it is
    /// one of these.
    pub(super) fn take(&mut self, id: Uuid) -> Option<u64> {
        let entry = self.by_id.remove(&id)?;
        self.ids.remove(&entry.number);
        self.placed -= usize::from(entry.has_place);
        if self.placed == 0 {
            (self.ahead, self.epoch) = (0, None);
        }
        Some(entry.joins)
    }

    /// How many of the members that joined first have another order than the stream.
    pub(super) fn ahead(&self) -> u64 {
        self.ahead
    }

    /// What such members get in place of an offset of the stream: nobody recovers from it.
    pub(super) fn in_place_of(&mut self, offset: Offset) -> Offset {
        Offset {
            epoch: *self.epoch.get_or_insert_with(Epoch::random),
            ..offset
        }
    }
}

impl Room {
    /// All who are members by now have received the event, which will come back.
    pub(in crate::core) fn received_early(&self, event: Uuid) {
        let mut state = self.lock();
        let joins = state.joins;
        state.early.add(event, joins, true);
    }

    /// An event that members have received early will not come back.
    pub(in crate::core) fn comes_no_more(&self, event: Uuid) {
        self.comes_back(&mut self.lock(), event);
    }

    /// The other nodes have lost events before this offset. Members are closed but for
    /// those that have received them: who kept them has noted `id` as early.
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

    /// The members have missed events for good: they are closed.
    pub(in crate::core) fn let_down(&self, tasks: &TaskTracker) {
        let mut state = self.lock();
        // None of those that stay has received anything early.
        state.early = Early::default();
        self.close_joined_behind(0, CloseReason::Behind, tasks);
    }

    /// Queues an event for those members that have not received it. `ahead` of those that
    /// joined first have another order than the stream, so they get it without the
    /// stream's offset. Returns its number in the first queue.
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

    /// An event that members have received early has come back, or never will; how many of
    /// those that joined first have received it.
    pub(super) fn comes_back(&self, state: &mut State, id: Uuid) -> u64 {
        let ahead = state.early.ahead();
        let received_by = state.early.take(id).unwrap_or(0);
        if ahead > 0 && state.early.ahead() == 0 {
            // From here on all have the stream's order; what is before it, not all were sent.
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

//! Which offsets a room gives: its epoch, its last number, and how far a store
//! lets it count. Knows no events and no store: the room asks.

use super::durable::BLOCK;
use super::event::{Epoch, Offset};

/// The offsets of one room.
pub(super) struct Offsets {
    epoch: Epoch,
    /// The last number that was given, or the one to go on behind.
    head: u64,
    /// The number that may not be reached in this epoch, since a store that was
    /// ended uncleanly would give it again; none while no store knows the epoch.
    limit: Option<u64>,
    /// The last offset of the previous epoch, as long as the room knows all events since then.
    followed: Option<Offset>,
}

impl Offsets {
    /// Those of a new room.
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch::random(),
            head: 0,
            limit: None,
            followed: None,
        }
    }

    /// Those of a room that a store had, behind what it has reserved until now.
    pub(super) fn of(epoch: Epoch, head: u64, limit: u64) -> Self {
        Self {
            epoch,
            head,
            limit: Some(limit),
            followed: None,
        }
    }

    /// The last offset of the room.
    pub(super) fn last(&self) -> Offset {
        self.offset(self.head)
    }

    /// Begins another epoch if the store has reserved no more numbers, so that the room never gives
    /// an offset twice. Returns the offset that [`Offsets::give`] gives next. The numbers continue,
    /// so clients can recover from the previous epoch as long as this process lives.
    pub(super) fn prepare(&mut self) -> Offset {
        let number = self.head + 1;
        if self.limit.is_some_and(|limit| number >= limit) {
            self.followed = Some(self.last());
            self.epoch = Epoch::random();
            self.limit = None;
        }
        self.offset(number)
    }

    /// Goes on behind an offset that was given from outside.
    pub(super) fn follow(&mut self, offset: Offset) {
        self.epoch = offset.epoch;
        self.head = offset.number;
        self.followed = None;
    }

    /// Begins an epoch of its own, unless it is in one: what comes next is not given
    /// from outside. It counts on.
    pub(super) fn part(&mut self) {
        if self.followed.is_none() {
            self.followed = Some(self.last());
            self.epoch = Epoch::random();
        }
    }

    /// Gives the next offset.
    pub(super) fn give(&mut self) -> Offset {
        let offset = self.prepare();
        self.head = offset.number;
        offset
    }

    /// Whether the room has come to this offset, in this life of it.
    pub(super) fn has_been(&self, offset: Offset) -> bool {
        let has_been = |last: Offset| offset.epoch == last.epoch && offset.number <= last.number;
        has_been(self.last()) || self.followed.is_some_and(has_been)
    }

    /// Below which number a store is to reserve all, when it writes what there is.
    ///
    /// From here on an epoch that no store knew counts as known, whether the
    /// writing succeeds or not.
    pub(super) fn reserve_below(&mut self) -> u64 {
        let wanted = self.head + BLOCK;
        match self.limit {
            Some(limit) if limit.saturating_sub(self.head) > BLOCK / 2 => limit,
            Some(_) => wanted,
            None => *self.limit.insert(wanted),
        }
    }

    /// The store has reserved the numbers below `limit`, in this epoch.
    pub(super) fn reserved(&mut self, epoch: Epoch, limit: u64) {
        if epoch == self.epoch && self.limit.is_some_and(|known| known < limit) {
            self.limit = Some(limit);
        }
    }

    fn offset(&self, number: u64) -> Offset {
        Offset {
            epoch: self.epoch,
            number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_store_there_is_no_end() {
        let mut offsets = Offsets::new();
        let epoch = offsets.last().epoch;
        for number in 1..=3 * BLOCK {
            assert_eq!(offsets.give(), Offset { epoch, number });
        }
    }

    #[test]
    fn no_number_is_given_that_is_not_reserved() {
        let mut offsets = Offsets::new();
        let epoch = offsets.give().epoch;
        let limit = offsets.reserve_below();
        assert_eq!(limit, 1 + BLOCK);
        while offsets.last().number + 1 < limit {
            assert_eq!(offsets.give().epoch, epoch);
        }
        // The store has not confirmed any more.
        let beyond = offsets.give();
        assert_eq!(beyond.number, limit, "it counts on");
        assert_ne!(beyond.epoch, epoch);
        // What it confirms now is of the epoch before.
        offsets.reserved(epoch, limit + BLOCK);
        assert_eq!(
            offsets.reserve_below(),
            limit + BLOCK,
            "as an unknown epoch"
        );
    }

    #[test]
    fn more_is_reserved_in_time_and_counts_once_confirmed() {
        let mut offsets = Offsets::new();
        let epoch = offsets.last().epoch;
        let limit = offsets.reserve_below();
        for _ in 0..BLOCK / 2 - 1 {
            offsets.give();
            assert_eq!(offsets.reserve_below(), limit);
        }
        offsets.give();
        let more = offsets.reserve_below();
        assert_eq!(more, BLOCK / 2 + BLOCK);
        offsets.reserved(epoch, more);
        while offsets.last().number + 1 < more {
            assert_eq!(offsets.give().epoch, epoch);
        }
        assert_ne!(offsets.give().epoch, epoch);
    }
}

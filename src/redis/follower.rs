//! How far a node has come in one room: which event is the next, which is known, and
//! which has to wait for those before it. Knows no connection: it is told and asked.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use crate::core::durable::Contents;
use crate::core::event::{Epoch, Offset};

/// How many events of a room wait for one that is missing; beyond it they are asked for
/// again, with it.
const HELD_MOST: usize = 1_000;

/// How many bytes of them: four of the biggest, hundreds of the usual.
const HELD_BYTES_MOST: usize = 1 << 20;

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was delivered.
    Known,
    /// It is to be delivered now.
    Next,
    /// Another one is missing before it, or nobody knows yet.
    Early,
}

/// Whether a node knows what a room has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody can be asked: this node gives the order itself.
    Alone,
    /// Somebody was asked.
    Asking,
    /// It is told of all that comes.
    Live,
}

/// How far a node has come in a room.
pub(super) struct Follower {
    pub(super) state: State,
    /// The last event that was delivered as all nodes have it; none before the first
    /// answer.
    pub(super) at: Option<Offset>,
    /// Whether something was delivered here that has no place among the others' yet.
    pub(super) has_own: bool,
    /// What the room had before that; none where nothing was, or it had nothing.
    pub(super) common: Option<Contents>,
    /// Since when clients here are without the others, in a room of which this node knew
    /// nothing.
    pub(super) alone_since: Option<DateTime<Utc>>,
    /// What came early, in the order in which it came: the order in which it was
    /// published.
    held: VecDeque<(Offset, String)>,
    held_bytes: usize,
    /// Something came that could not be held.
    has_missed: bool,
}

impl Follower {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            at: None,
            has_own: false,
            common: None,
            alone_since: None,
            held: VecDeque::new(),
            held_bytes: 0,
            has_missed: false,
        }
    }

    /// What is to become of the event that has this place.
    pub(super) fn turn(&self, place: Offset) -> Turn {
        match self.at {
            Some(at) if self.state == State::Live && at.epoch == place.epoch => {
                match place.number.checked_sub(at.number) {
                    Some(1) if self.held.is_empty() => Turn::Next,
                    Some(1..) => Turn::Early,
                    _ => Turn::Known,
                }
            }
            _ => Turn::Early,
        }
    }

    /// Keeps an event for later.
    pub(super) fn hold(&mut self, place: Offset, frame: String) {
        if self.held.len() >= HELD_MOST || self.held_bytes + frame.len() > HELD_BYTES_MOST {
            self.has_missed = true;
            return;
        }
        self.held_bytes += frame.len();
        self.held.push_back((place, frame));
    }

    /// The next one of those that were held, if it is its turn.
    pub(super) fn next_held(&mut self) -> Option<(Offset, String)> {
        loop {
            let at = self.at.filter(|_| self.state == State::Live)?;
            let (place, _) = self.held.front()?;
            let is_next = place.epoch == at.epoch && place.number == at.number.saturating_add(1);
            let is_known = place.epoch == at.epoch && place.number <= at.number;
            if !is_next && !is_known {
                return None;
            }
            let held = self.held.pop_front()?;
            self.held_bytes -= held.1.len();
            if is_next {
                return Some(held);
            }
        }
    }

    /// It could not be delivered yet.
    pub(super) fn put_back(&mut self, place: Offset, frame: String) {
        self.held_bytes += frame.len();
        self.held.push_front((place, frame));
    }

    /// What this node was told of the room is delivered: it has come to this place.
    /// `before` is the epoch that it was in.
    ///
    /// What was held of other epochs was covered by that.
    pub(super) fn has_come_to(&mut self, at: Offset, before: Option<Epoch>) {
        let is_new = |place: &Offset| place.epoch != at.epoch && Some(place.epoch) != before;
        self.has_missed |= self.held.iter().any(|(place, _)| is_new(place));
        self.held
            .retain(|(place, _)| place.epoch == at.epoch && place.number > at.number);
        self.held_bytes = self.held.iter().map(|(_, frame)| frame.len()).sum();
        self.at = Some(at);
        self.state = State::Live;
    }

    /// Whether something is missing that has to be asked for.
    pub(super) fn is_to_ask(&mut self) -> bool {
        if self.state != State::Live {
            return false;
        }
        let next = self.at.map_or(0, |at| at.number.saturating_add(1));
        let has_gap = self.held.front().is_some_and(|(place, _)| {
            Some(place.epoch) != self.at.map(|at| at.epoch) || place.number > next
        });
        let asks = has_gap || (self.has_missed && self.held.is_empty());
        if asks {
            self.has_missed = false;
            self.state = State::Asking;
        }
        asks
    }

    /// Whether nothing is missing, and nothing waits.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.state == State::Live && self.held.is_empty()
    }

    /// Whether something waits that is next.
    pub(super) fn is_stalled(&self) -> bool {
        self.state == State::Live && !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(epoch: char, number: u64) -> Offset {
        let epoch = String::from(epoch).repeat(12);
        format!("{epoch}-{number}").parse().unwrap()
    }

    fn live(number: u64) -> Follower {
        let mut follower = Follower::new(State::Asking);
        follower.has_come_to(place('a', number), None);
        follower
    }

    #[test]
    fn events_are_delivered_in_order_each_once() {
        let cases = [
            (place('a', 4), Turn::Known),
            (place('a', 5), Turn::Known),
            (place('a', 6), Turn::Next),
            (place('a', 7), Turn::Early),
            (place('b', 6), Turn::Early),
        ];
        for (event, turn) in cases {
            assert_eq!(live(5).turn(event), turn, "{event}");
            assert_eq!(Follower::new(State::Asking).turn(event), Turn::Early);
        }
    }

    #[test]
    fn what_is_held_waits_for_what_is_missing() {
        let mut follower = live(5);
        follower.hold(place('a', 7), "7".into());
        follower.hold(place('a', 8), "8".into());
        assert_eq!(follower.turn(place('a', 6)), Turn::Early, "in its order");
        assert!(follower.next_held().is_none());
        assert!(follower.is_to_ask());
        assert!(!follower.is_to_ask(), "it was asked");
        follower.has_come_to(place('a', 7), Some(place('a', 5).epoch));
        let (next, _) = follower.next_held().unwrap();
        assert_eq!(next, place('a', 8), "7 is known by now");
        follower.put_back(next, "8".into());
        assert!(follower.is_stalled() && !follower.is_to_ask());
    }

    #[test]
    fn what_can_not_be_held_is_asked_for() {
        let mut follower = Follower::new(State::Asking);
        for number in 2..HELD_MOST as u64 + 3 {
            follower.hold(place('a', number), "x".into());
        }
        follower.has_come_to(place('a', 1), None);
        let mut heard = 0;
        while let Some((place, _)) = follower.next_held() {
            follower.at = Some(place);
            heard += 1;
        }
        assert_eq!(heard, HELD_MOST);
        assert!(follower.is_to_ask());
        follower.has_come_to(place('a', HELD_MOST as u64 + 2), Some(place('a', 1).epoch));
        assert!(!follower.is_to_ask());
    }

    #[test]
    fn an_epoch_that_nobody_has_told_of_is_asked_for_again() {
        for (held, asks) in [
            (place('a', 9), false),
            (place('b', 9), false),
            (place('c', 1), true),
        ] {
            let mut follower = live(5);
            follower.state = State::Asking;
            follower.hold(held, "x".into());
            follower.has_come_to(place('b', 9), Some(place('a', 5).epoch));
            assert_eq!(follower.is_to_ask(), asks, "{held}");
        }
    }
}

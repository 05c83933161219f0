//! What a room keeps for those who come later: its retained events and its
//! history; and how much all rooms of a namespace keep together.
//! Knows no members and no locks: the room guards it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::durable::Contents;
use super::event::Event;
use super::terms::Keeps;

/// The most bytes that the rooms of one namespace keep together: 64 MiB.
///
/// 300 rooms with a hundred tracks each, and a small machine has it for each of
/// a handful of namespaces. Beyond it empty rooms are given up, those that are
/// empty for longest first; then the longest histories are halved.
pub const KEPT_MOST: usize = 64 << 20;

/// The most of [`KEPT_MOST`] that may be retained events.
///
/// A room in use never gives them up, so a publication that would exceed this
/// is refused. What is left of the budget, and usually all of it, is history.
pub const RETAINED_MOST: usize = KEPT_MOST / 2;

/// The most bytes that one room keeps as its history: 1 MiB.
///
/// Hundreds of tracks, a hundred events of 3 KiB, five of the biggest.
const HISTORY_BYTES: usize = 1 << 20;

/// How much the rooms of one namespace keep together, in bytes.
///
/// Each room counts under its own lock: two that publish at the same moment may
/// exceed a bound by an event each, until they have given something up.
#[derive(Debug, Default)]
pub(super) struct Budget {
    history: AtomicUsize,
    retained: AtomicUsize,
}

impl Budget {
    pub(super) fn used(&self) -> usize {
        self.history.load(Ordering::Relaxed) + self.retained.load(Ordering::Relaxed)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.used() > KEPT_MOST
    }

    /// Whether less than an eighth of it is free: whoever makes way looks at all
    /// rooms, and should not have to for each event.
    pub(super) fn is_tight(&self) -> bool {
        self.used() > KEPT_MOST / 8 * 7
    }
}

/// What one room keeps. An event that is kept twice is counted twice.
pub(super) struct Kept {
    retained: Vec<(String, Arc<Event>)>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// All events behind this number are in the history, but for what was lost.
    floor: u64,
    /// Below this number something was given out that nobody has any more.
    hole: u64,
    budget: Arc<Budget>,
}

impl Kept {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            retained: Vec::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            floor: 0,
            hole: 0,
            budget,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.history.is_empty() && self.retained.is_empty()
    }

    /// Whether the namespace may retain the event; always where that makes it
    /// retain less than before.
    pub(super) fn may_retain(&self, event: &Event, keeps: Keeps<'_>) -> bool {
        let (mut more, mut less) = (0, 0);
        for key in event.publication.retained_as(keeps.retain) {
            more += event.weight();
            less += self.retained(key).map_or(0, |kept| kept.weight());
        }
        let now = self.budget.retained.load(Ordering::Relaxed);
        more <= less || now + more - less <= RETAINED_MOST
    }

    /// Retains the event as it is wanted, and adds it to the history.
    pub(super) fn add(&mut self, event: &Arc<Event>, keeps: Keeps<'_>) {
        for key in event.publication.retained_as(keeps.retain) {
            self.retain(key, event);
        }
        self.remember(event, keeps);
    }

    /// Takes what a store had, as far as it is still wanted.
    pub(super) fn restore(&mut self, stored: Contents, keeps: Keeps<'_>) {
        self.floor = stored.floor;
        self.hole = stored.hole;
        for (key, event) in stored.retained {
            if keeps.retain.contains(&key) {
                self.retain(&key, &event);
            }
        }
        for event in stored.history {
            self.remember(&event, keeps);
        }
    }

    /// Everything, for a store.
    pub(super) fn contents(&self) -> Contents {
        Contents {
            floor: self.floor,
            hole: self.hole,
            history: self.history.iter().cloned().collect(),
            retained: self.retained.clone(),
        }
    }

    fn retain(&mut self, key: &str, event: &Arc<Event>) {
        let retained = &self.budget.retained;
        retained.fetch_add(event.weight(), Ordering::Relaxed);
        match self.retained.iter_mut().find(|(known, _)| known == key) {
            Some((_, kept)) => {
                retained.fetch_sub(kept.weight(), Ordering::Relaxed);
                *kept = event.clone();
            }
            None => self.retained.push((key.to_owned(), event.clone())),
        }
    }

    fn remember(&mut self, event: &Arc<Event>, keeps: Keeps<'_>) {
        self.history_bytes += event.weight();
        let history = &self.budget.history;
        history.fetch_add(event.weight(), Ordering::Relaxed);
        self.history.push_back(event.clone());
        while self.history.len() > keeps.history || self.history_bytes > HISTORY_BYTES {
            if !self.forget_oldest() {
                break;
            }
        }
    }

    /// How much the history takes, in bytes.
    pub(super) fn history_bytes(&self) -> usize {
        self.history_bytes
    }

    /// Gives up the older half of the history; false if there is none.
    pub(super) fn halve(&mut self) -> bool {
        let half = self.history_bytes / 2;
        let had = !self.history.is_empty();
        while self.history_bytes > half && self.forget_oldest() {}
        had
    }

    /// Events before this number are lost: no client can recover from an earlier offset.
    pub(super) fn lose_before(&mut self, number: u64) {
        self.hole = number;
    }

    /// Gives up everything.
    pub(super) fn clear(&mut self) {
        let retained = self.retained.drain(..);
        let retained = retained.map(|(_, event)| event.weight()).sum();
        self.budget.retained.fetch_sub(retained, Ordering::Relaxed);
        let history = std::mem::take(&mut self.history_bytes);
        self.budget.history.fetch_sub(history, Ordering::Relaxed);
        self.history = VecDeque::new();
    }

    /// The retained events in the order of their offsets, each once, for clients that join.
    /// If there are several, each says whether it is the current one; the last one is.
    pub(super) fn current(&self) -> Vec<Arc<Event>> {
        let mut kept: Vec<_> = self.retained.iter().map(|(_, e)| e.clone()).collect();
        kept.sort_by_key(|event| event.offset.number);
        kept.dedup_by_key(|event| event.offset.number);
        let last = kept.len().saturating_sub(1);
        if last > 0 {
            for (at, event) in kept.iter_mut().enumerate() {
                *event = event.for_joining(at == last);
            }
        }
        kept
    }

    /// What there is of the history behind a number, in order.
    pub(super) fn since(&self, number: u64) -> Vec<Arc<Event>> {
        let newer = |event: &&Arc<Event>| event.offset.number > number;
        self.history.iter().filter(newer).cloned().collect()
    }

    /// Whether the history holds all that came behind this number.
    ///
    /// A number that nothing is known of (it was left out, or given before an
    /// unclean end and not written down) is no place to go on from, and none is
    /// from which something was lost.
    pub(super) fn reaches(&self, number: u64) -> bool {
        if number < self.hole {
            return false;
        }
        let holds = |number: &u64| {
            let place = |event: &Arc<Event>| event.offset.number;
            self.history.binary_search_by_key(number, place).is_ok()
        };
        number == self.floor || (number > self.floor && (holds(&number) || holds(&(number + 1))))
    }

    /// The event that is retained under a key.
    pub(super) fn retained(&self, key: &str) -> Option<&Arc<Event>> {
        let mut retained = self.retained.iter();
        retained.find_map(|(known, event)| (known == key).then_some(event))
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.history.pop_front() else {
            return false;
        };
        self.floor = oldest.offset.number;
        self.history_bytes -= oldest.weight();
        let history = &self.budget.history;
        history.fetch_sub(oldest.weight(), Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::core::event::{Kind, Publication, To};
    use crate::core::name::{NamespaceName, Nickname, RoomName};

    fn event(number: u64, retain: &'static [&'static str]) -> Arc<Event> {
        let publication = Publication {
            namespace: NamespaceName::parse("/n").unwrap(),
            room: RoomName::parse("r").unwrap(),
            kind: Kind::Message,
            sender: Nickname::feed(),
            to: To::Everybody,
            message: to_raw_value(&"x".repeat(number as usize * 100)).unwrap(),
            origin: None,
            retain: retain.iter().map(ToString::to_string).collect(),
            token: None,
            id: None,
            same: None,
        };
        let offset = format!("abcdefghijkl-{number}").parse().unwrap();
        Arc::new(Event::new(publication, offset, chrono::Utc::now()))
    }

    #[test]
    fn the_budget_has_what_the_rooms_keep_and_nothing_else() {
        let keeps = Keeps {
            retain: &["song".into(), "current".into()],
            history: 3,
        };
        let budget = Arc::new(Budget::default());
        let mut rooms = [Kept::new(budget.clone()), Kept::new(budget.clone())];
        let keys: [&[&str]; 4] = [&[], &["song", "current"], &["current"], &["other"]];
        for (number, keys) in (1..).zip(keys.into_iter().cycle().take(40)) {
            let room = &mut rooms[number as usize % 3 % 2];
            room.add(&event(number, keys), keeps);
            if number % 17 == 0 {
                room.clear();
            }
            let kept = rooms.iter().flat_map(|room| {
                let retained = room.retained.iter().map(|(_, event)| event);
                retained.chain(&room.history)
            });
            let kept: usize = kept.map(|event| event.weight()).sum();
            assert_eq!(budget.used(), kept, "after {number}");
        }
        rooms.iter_mut().for_each(Kept::clear);
        assert_eq!(budget.used(), 0);
    }
}

//! Decides which airing is on, of all that the senders declare. Identity decides, not clocks: an
//! airing that no sender has declared before is on; one that another airing has followed is not.
//! Pure: the time is an argument. Knows items and senders, not documents.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::known::{Known, is_within};
use super::senders::{Declared, Senders, is_near};
use crate::nowplaying::{AIRINGS_MOST, Airing, Change, GRACE, Item, SAME_ID, SAME_START};

/// A start that the server receives within this time after the airing began is fresh: its
/// difference to the server's clock is the sender's skew.
const FRESH: Duration = Duration::from_secs(10);

/// All airings of the last hours, and the one that is on.
#[derive(Debug, Default)]
pub(super) struct Airings {
    /// In the order of their first declaration; at most [`AIRINGS_MOST`].
    known: VecDeque<Known>,
    /// The key of the airing that is on.
    current: Option<Uuid>,
    pub(super) senders: Senders,
}

/// The result of a declaration.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// `None` if the airing is over.
    pub(super) change: Option<Change>,
    /// Whether the sender changed to an airing that is over.
    pub(super) is_late: bool,
    /// How far the sender's clock seems to be ahead, if this is a fresh start.
    pub(super) skew: Option<TimeDelta>,
}

impl Airings {
    /// Begins with the airings before a restart, the newest last.
    pub(super) fn new(stored: Vec<Airing>, now: Instant, wall: DateTime<Utc>) -> Self {
        let mut airings = Self::default();
        for airing in stored {
            // The monotonic clock may have begun later than that: it starts with the machine.
            let received = now.checked_sub(airing.age(wall)).unwrap_or(now);
            airings.begin(airing.item, received, now);
        }
        airings
    }

    /// Processes the item that a sender declares to be on.
    pub(super) fn declare(
        &mut self,
        sender: u64,
        Declared { mut item, start }: Declared,
        now: Instant,
        wall: DateTime<Utc>,
    ) -> Outcome {
        let before = self.senders.last(sender).cloned();
        let is_first = self.senders.is_first(sender);
        let repeated = before.filter(|before| before.is_repeated(&item, start));
        let found = match &repeated {
            Some(before) => Some(before.item.airing),
            None => self.find(sender, &item, start, now),
        };
        item.airing = found.unwrap_or_else(Uuid::new_v4);
        let first_start = repeated.as_ref().and_then(|before| before.start);
        let declared = Declared {
            item: item.clone(),
            start: first_start.or(start),
        };
        self.senders.declared(sender, declared);
        if found.is_none() {
            self.begin(item.clone(), now, now);
        }
        let Some(index) = self.index(item.airing) else {
            // A sender that hangs repeats an airing that is not remembered any more.
            return Outcome::default();
        };
        let is_repeat = repeated.is_some();
        let resumes = self.resumes(&self.known[index], sender, now);
        let known = &mut self.known[index];
        let is_stored = known.declarations.is_empty();
        known.declared_by(sender, start, now, is_repeat);
        let change = if found.is_none() {
            Some(Change::Current(item))
        } else if self.current == Some(item.airing) {
            let is_changed = repeated.map_or(is_stored, |before| !before.item.matches(&item));
            Some(known.again(item, is_changed))
        } else if resumes {
            known.times += 1;
            known.followed = None;
            let resumed = Change::Resumed(known.item.clone(), known.received);
            self.follow(item.airing, now);
            Some(resumed)
        } else {
            if is_stored {
                // The play log had no name for it; now the name is known.
                known.again(item, true);
            }
            None
        };
        let is_fresh = !is_repeat && is_within(self.known[index].received, FRESH, now);
        let skew = start.map(|start| start - wall);
        Outcome {
            is_late: change.is_none() && !is_repeat,
            skew: skew.filter(|_| is_fresh && !is_first && change.is_some()),
            change,
        }
    }

    /// Whether this sender was the first to declare the airing that is on.
    pub(super) fn is_owner(&self, sender: u64) -> bool {
        let first = self.current().and_then(|known| known.declarations.first());
        first.is_some_and(|declaration| declaration.sender == sender)
    }

    /// Returns the airing that the sender declares, if it is a known one: this sender declared it
    /// before, or another sender has put it on more often than this one.
    fn find(
        &self,
        sender: u64,
        item: &Item,
        start: Option<DateTime<Utc>>,
        now: Instant,
    ) -> Option<Uuid> {
        let own = |known: &&Known| {
            let declaration = known.declaration(sender);
            known.is_item(item)
                && declaration.is_some_and(|before| match before.start.zip(start) {
                    Some(_) => is_near(before.start, start),
                    None if !item.id.is_empty() => is_within(before.at, SAME_ID, now),
                    None => {
                        is_within(before.at, SAME_START, now) || self.resumes(known, sender, now)
                    }
                })
        };
        let of_others = |known: &&Known| {
            let declaration = known.declaration(sender);
            let is_of_others = declaration.is_none_or(|before| before.times < known.times);
            is_of_others
                && known.is_item(item)
                && match known.followed {
                    _ if !item.id.is_empty() => is_within(known.last_declared, SAME_ID, now),
                    Some(followed) => is_within(followed, known.item.duration() + GRACE, now),
                    None => known.can_be_on(now),
                }
        };
        let newest_first = || self.known.iter().rev();
        let found = newest_first()
            .find(own)
            .or_else(|| newest_first().find(of_others));
        found.map(|known| known.item.airing)
    }

    /// Whether an airing is on again: a shorter one cut into it and is over, and a sender that had
    /// declared the shorter one declares this one. After a restart any sender may do so.
    fn resumes(&self, known: &Known, sender: u64, now: Instant) -> bool {
        let Some(current) = self.current() else {
            return false;
        };
        let (long, short) = (known.item.duration(), current.item.duration());
        let is_over = !short.is_zero() && !is_within(current.received, short, now);
        let is_longer = long.is_zero() || long > short;
        let declarations = &current.declarations;
        let is_told = declarations.is_empty() || current.declaration(sender).is_some();
        is_over && known.can_be_on(now) && is_longer && is_told
    }

    /// How many airings and senders are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> (usize, usize) {
        (self.known.len(), self.senders.len())
    }

    fn begin(&mut self, item: Item, received: Instant, now: Instant) {
        self.follow(item.airing, now);
        self.known.push_back(Known {
            item,
            received,
            last_declared: received,
            times: 1,
            followed: None,
            declarations: Vec::new(),
        });
        if self.known.len() > AIRINGS_MOST {
            self.known.pop_front();
        }
    }

    /// Puts another airing on.
    fn follow(&mut self, airing: Uuid, now: Instant) {
        let current = self.current.replace(airing);
        if let Some(index) = current.and_then(|current| self.index(current)) {
            self.known[index].followed = Some(now);
        }
    }

    fn current(&self) -> Option<&Known> {
        self.known.get(self.index(self.current?)?)
    }

    fn index(&self, airing: Uuid) -> Option<usize> {
        self.known
            .iter()
            .rposition(|known| known.item.airing == airing)
    }
}

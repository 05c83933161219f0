//! Reads from a document which item is on and which comes next, and returns what changes. Pure: the
//! time is an argument. Knows log events; `airings` decides which airing is on.

use std::net::SocketAddr;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::airings::{Airings, Outcome};
use super::item::{id_of, item, makes_sense, parse_start};
use super::senders::{Declared, is_near};
use super::xml::{Asset, LogEvent};
use crate::nowplaying::{Airing, Change, Item};

/// A sender with a larger skew than this has a wrong clock.
const SKEW_MOST: TimeDelta = TimeDelta::minutes(2);

/// The words by which a `Status` says that an item is over.
const OVER: [&str; 5] = ["PLAYED", "HISTORY", "PAST", "STOPPED", "SKIPPED"];

/// What is on, over all connections.
#[derive(Debug, Default)]
pub struct OnAir {
    airings: Airings,
    /// The song that comes next, and the number of the sender that declared it.
    next: Option<(u64, Item)>,
}

/// The result of a document.
#[derive(Debug, Default)]
pub struct Taken {
    /// The changes that listeners receive.
    pub changes: Vec<Change>,
    /// Whether its sender changes to an airing that is over.
    pub is_late: bool,
    /// The faults of the document and its sender.
    pub faults: Vec<Fault>,
}

/// Something wrong with a sender or its documents.
#[derive(Debug, PartialEq)]
pub struct Fault {
    /// The name of the kind of fault, as in the metrics.
    pub reason: &'static str,
    /// The wrong value as the sender wrote it; the skew in seconds.
    pub text: String,
    /// Whether to log it: the first of its kind for each sender.
    pub is_logged: bool,
}

impl OnAir {
    /// Begins with the airings before a restart, the newest last.
    pub fn new(stored: Vec<Airing>, now: Instant, wall: DateTime<Utc>) -> Self {
        Self {
            airings: Airings::new(stored, now, wall),
            next: None,
        }
    }

    /// Processes a document that was received at `now`, which is `wall` on the server's clock.
    pub fn take(
        &mut self,
        sender: SocketAddr,
        events: &[LogEvent],
        now: Instant,
        wall: DateTime<Utc>,
    ) -> Taken {
        let current = current_of(events);
        let declared = current.map(|(event, asset)| declared(event, asset, &event.start, wall));
        let sender = self.airings.senders.number(sender, declared.as_ref());
        let mut taken = Taken::default();
        for event in events {
            let senseless = makes_sense(event, wall).err();
            taken
                .faults
                .extend(senseless.map(|(reason, text)| self.fault(sender, reason, text)));
        }
        let (Some((event, _)), Some(declared)) = (current, declared) else {
            return taken;
        };
        let Outcome {
            change,
            is_late,
            skew,
        } = self.airings.declare(sender, declared, now, wall);
        taken.is_late = is_late;
        if let Some(skew) = skew {
            self.airings.senders.set_skew(sender, skew);
            if skew.abs() > SKEW_MOST {
                let seconds = skew.num_seconds().to_string();
                taken.faults.push(self.fault(sender, "skew", seconds));
            }
        }
        // A sender that declares an airing that is over does not know which song is next.
        let next = change.as_ref().and_then(|_| next_of(events, event, wall));
        // First, since an item that goes on air is no longer the next one.
        let begins = matches!(&change, Some(Change::Current(item)) if item.is_song());
        let next = match next {
            Some(next) => self.comes(sender, next),
            None if begins => self.next.take().map(|_| Change::NextUnknown),
            None => None,
        };
        taken.changes.extend(next);
        taken.changes.extend(change);
        taken
    }

    /// The connection of this address has ended; the next one from there continues its sender.
    pub fn gone(&mut self, sender: SocketAddr) {
        self.airings.senders.gone(sender);
    }

    /// How far the clocks of the connected senders are ahead, in seconds.
    pub fn skews(&self) -> Vec<f64> {
        let skews = self.airings.senders.skews();
        skews
            .map(|skew| skew.num_milliseconds() as f64 / 1_000.0)
            .collect()
    }

    fn fault(&mut self, sender: u64, reason: &'static str, text: String) -> Fault {
        let is_logged = self.airings.senders.logs(sender, reason);
        Fault {
            reason,
            text,
            is_logged,
        }
    }

    /// Sets the next song. Only the sender that declared it, or the one that first declared the
    /// airing that is on, may correct it: the clocks of others may differ.
    fn comes(&mut self, sender: u64, told: Item) -> Option<Change> {
        let next = match &self.next {
            Some((teller, next)) if next.is_same(&told) => {
                let is_own = *teller == sender;
                let is_start_kept = is_own && is_near(Some(next.start), Some(told.start));
                let start = if is_start_kept {
                    next.start
                } else {
                    told.start
                };
                let corrected = Item { start, ..told };
                if corrected == *next || !(is_own || self.airings.is_owner(sender)) {
                    return None;
                }
                corrected
            }
            _ => told,
        };
        self.next = Some((sender, next.clone()));
        Some(Change::Next(next))
    }
}

fn declared(event: &LogEvent, asset: &Asset, start: &str, wall: DateTime<Utc>) -> Declared {
    let start = parse_start(start, wall);
    Declared {
        item: item(event, asset, start.unwrap_or(wall)),
        start,
    }
}

/// Whether this event says that its item is over.
fn is_over(event: &LogEvent) -> bool {
    OVER.iter()
        .any(|over| over.eq_ignore_ascii_case(&event.status))
}

fn is_marked(event: &LogEvent) -> bool {
    event.status.eq_ignore_ascii_case("CURRENT") || event.last_started.eq_ignore_ascii_case("true")
}

/// The item of a document that is on, by the first of the rules that finds one.
fn current_of(events: &[LogEvent]) -> Option<(&LogEvent, &Asset)> {
    let with_asset = |event: &&LogEvent| event.asset.is_some();
    let find = |rule: &dyn Fn(&LogEvent) -> bool| events.iter().find(|event| rule(event));
    let found = find(&|event| event.status.eq_ignore_ascii_case("CURRENT"))
        .or_else(|| find(&|event| event.last_started.eq_ignore_ascii_case("true")))
        .or_else(|| {
            let by_hand = |e: &LogEvent| id_of(e).is_empty() && e.asset.is_some();
            find(&|event| by_hand(event) && !is_over(event))
        })
        .or_else(|| {
            let unmarked = |e: &LogEvent| e.status.is_empty() && e.last_started.is_empty();
            let first = || events.iter().find(with_asset);
            if events.iter().all(unmarked) {
                first()
            } else {
                None
            }
        })?;
    Some((found, found.asset.as_ref()?))
}

/// The next song: of the unmarked songs that start after the current item the earliest; without
/// times, the first one behind it in the document.
fn next_of(events: &[LogEvent], current: &LogEvent, wall: DateTime<Utc>) -> Option<Item> {
    let time = |event: &LogEvent| {
        let told = parse_start(&event.start, wall);
        told.or_else(|| parse_start(&event.scheduled, wall))
    };
    let from = time(current);
    let mut is_behind = false;
    let to_come = events.iter().filter_map(|event| {
        if std::ptr::eq(event, current) {
            is_behind = true;
            return None;
        }
        let start = time(event);
        let is_later = start
            .zip(from)
            .map_or(is_behind, |(start, from)| start > from);
        let next = item(event, event.asset.as_ref()?, start.unwrap_or(wall));
        (is_later && !is_marked(event) && next.is_song()).then_some((start, next))
    });
    // Of the songs without a time, the first in the document is the next one.
    let next = to_come.min_by_key(|(start, _)| start.unwrap_or(DateTime::<Utc>::MAX_UTC));
    next.map(|(_, next)| next)
}

#[cfg(test)]
mod tests;

//! What is on, of all that the senders say. Pure: the time is an argument.
//! Knows log events and items, not connections.

use std::collections::VecDeque;

use chrono::{DateTime, Duration, Utc};

use super::item::{id_of, item, parse_start};
use super::xml::{Asset, LogEvent};
use crate::nowplaying::{Change, GRACE, Item, SAME_START, WentOn};

/// A start further ahead than this is compared as the time of receipt.
const AHEAD: Duration = Duration::minutes(1);

/// How many items are remembered that were on before. Senders repeat what they
/// sent within some tens of seconds; so many jingles do not fit in that.
const RECENT_MOST: usize = 16;

/// What is on, over all connections.
#[derive(Debug, Default)]
pub struct OnAir {
    current: Option<Known>,
    next: Option<Known>,
    /// What was on before, the newest last; at most [`RECENT_MOST`].
    recent: VecDeque<Known>,
}

#[derive(Debug)]
struct Known {
    item: Item,
    /// Whether its start is the sender's and not the time of receipt.
    timed: bool,
    /// The start that newer ones are compared with, and when it was first told.
    order: (DateTime<Utc>, DateTime<Utc>),
    received: DateTime<Utc>,
    /// Whether it is from before a restart, and has not been told since: its id
    /// is not known, nor its name if it is no song.
    went_on: bool,
}

impl OnAir {
    /// What is on when nothing was told yet.
    pub fn new(went_on: Option<WentOn>) -> Self {
        Self {
            current: went_on.map(Known::went_on),
            ..Self::default()
        }
    }

    /// Takes a document that was received at `now`; gives what it changes.
    pub fn take(&mut self, events: &[LogEvent], now: DateTime<Utc>) -> Vec<Change> {
        let Some((event, asset)) = current_of(events) else {
            return Vec::new();
        };
        let start = parse_start(&event.start, now);
        let change = self.on(Known::new(event, asset, start, now));
        // What follows an item that is over is no news.
        let is_late = matches!(change, Change::Aired(_));
        let next = next_of(events, event, now).filter(|_| !is_late);
        let next = next.and_then(|next| self.comes(next));
        [Some(change), next].into_iter().flatten().collect()
    }

    fn on(&mut self, mut told: Known) -> Change {
        if let Some(current) = &mut self.current {
            if current.is_same(&told) {
                return match current.correct(told) {
                    Some(corrected) => Change::Corrected(corrected),
                    None => Change::Again(current.item.clone()),
                };
            }
            // A repeat is no newer than the first time that it was told.
            if let Some(before) = self.recent.iter().find(|before| told.repeats(before)) {
                told.order = before.order;
            }
            if told.order < current.order && told.received < current.ends() {
                return Change::Aired(told.item);
            }
        }
        let change = Change::Current(told.item.clone());
        if let Some(before) = self.current.replace(told) {
            self.remember(before);
        }
        change
    }

    fn comes(&mut self, told: Known) -> Option<Change> {
        if let Some(next) = &mut self.next
            && next.is_same(&told)
        {
            return next.correct(told).map(Change::Next);
        }
        let change = Change::Next(told.item.clone());
        self.next = Some(told);
        Some(change)
    }

    fn remember(&mut self, before: Known) {
        self.recent.retain(|known| !known.repeats(&before));
        self.recent.push_back(before);
        if self.recent.len() > RECENT_MOST {
            self.recent.pop_front();
        }
    }
}

impl Known {
    /// An item that was told at `now`, with its start where it has one.
    fn new(
        event: &LogEvent,
        asset: &Asset,
        start: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let item = item(event, asset, start.unwrap_or(now));
        Self {
            timed: start.is_some(),
            order: order(&item, now),
            received: now,
            item,
            went_on: false,
        }
    }

    fn went_on(WentOn { item, received }: WentOn) -> Self {
        Self {
            timed: true,
            order: order(&item, received),
            received,
            item,
            went_on: true,
        }
    }

    /// Takes what is told of the same item now; the item, if that is another.
    ///
    /// The start stays: the clocks of hot spares differ.
    fn correct(&mut self, told: Self) -> Option<Item> {
        let corrected = Item {
            start: self.item.start,
            ..told.item
        };
        self.went_on = false;
        if corrected == self.item {
            return None;
        }
        self.item = corrected.clone();
        Some(corrected)
    }

    /// Whether both are one and the same time that the item was on. What has
    /// neither id nor start can be on again, and be told the same.
    fn repeats(&self, other: &Self) -> bool {
        let has_key = !self.item.id.is_empty() || (self.timed && other.timed);
        has_key && self.is_same(other)
    }

    fn is_same(&self, other: &Self) -> bool {
        let both_timed = self.timed && other.timed;
        let apart = (self.item.start - other.item.start).abs();
        let same_item = if self.went_on || other.went_on {
            self.item.looks_like(&other.item)
        } else {
            self.item.is_same(&other.item)
        };
        same_item && (!both_timed || apart <= SAME_START)
    }

    /// Until when an older start can't be what is on.
    fn ends(&self) -> DateTime<Utc> {
        self.received + Duration::milliseconds(self.item.played as i64) + GRACE
    }
}

/// What tells which of two items is newer.
fn order(item: &Item, received: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let ahead = item.start - received > AHEAD;
    (if ahead { received } else { item.start }, received)
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
        .or_else(|| find(&|event| id_of(event).is_empty() && event.asset.is_some()))
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

/// The unmarked item that starts first after what is on.
fn next_of(events: &[LogEvent], current: &LogEvent, now: DateTime<Utc>) -> Option<Known> {
    let from = parse_start(&current.start, now).unwrap_or(now);
    let unmarked = events
        .iter()
        .filter(|event| !is_marked(event) && !std::ptr::eq(*event, current));
    unmarked
        .filter_map(|event| {
            let start = parse_start(&event.start, now).or(parse_start(&event.scheduled, now))?;
            Some(Known::new(event, event.asset.as_ref()?, Some(start), now))
        })
        .filter(|known| known.item.start > from)
        .min_by_key(|known| known.item.start)
}

#[cfg(test)]
mod tests;

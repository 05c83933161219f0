//! What is on, of all that the senders say. Pure: the time is an argument.
//! Knows log events and items, not connections.

use chrono::{DateTime, Duration, NaiveDateTime, Utc};

use super::xml::{Asset, LogEvent};
use crate::nowplaying::Item;

/// Equal ids with starts this close are one item: hot spares' clocks differ.
const SAME_START: Duration = Duration::seconds(10);

/// A start further ahead than this is compared as the time of receipt.
const AHEAD: Duration = Duration::minutes(1);

/// A start further ahead than this is no time of a studio's clock at all.
const ABSURD: Duration = Duration::days(1);

/// How long after its end an item still keeps an older one out.
const GRACE: Duration = Duration::minutes(1);

/// What a document has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another item is on.
    Current(Item),
    /// What is on was told wrong before.
    Corrected(Item),
    /// Another item comes next.
    Next(Item),
    /// The item was on, but something newer is: for the play log only.
    Aired(Item),
}

/// What is on, over all connections.
#[derive(Debug, Default)]
pub struct OnAir {
    current: Option<Known>,
    next: Option<Item>,
}

#[derive(Debug)]
struct Known {
    id: String,
    item: Item,
    /// Whether its start is the sender's and not the time of receipt.
    timed: bool,
    /// The start that newer ones are compared with.
    compared: DateTime<Utc>,
    received: DateTime<Utc>,
}

impl OnAir {
    /// Takes a document that was received at `now`; gives what it changes.
    pub fn take(&mut self, events: &[LogEvent], now: DateTime<Utc>) -> Vec<Change> {
        let mut changes = Vec::new();
        let current = current_of(events);
        if let Some((event, asset)) = current {
            changes.extend(self.on(Known::new(event, asset, now)));
        }
        let next = next_of(events, current.map(|(event, _)| event), now);
        if let Some(next) = next
            && self.next.as_ref() != Some(&next)
        {
            self.next = Some(next.clone());
            changes.push(Change::Next(next));
        }
        changes
    }

    fn on(&mut self, told: Known) -> Option<Change> {
        let Some(current) = &mut self.current else {
            let change = Change::Current(told.item.clone());
            self.current = Some(told);
            return Some(change);
        };
        if current.is_same(&told) {
            let corrected = Item {
                start: current.item.start,
                ..told.item
            };
            if corrected == current.item {
                return None;
            }
            current.item = corrected.clone();
            return Some(Change::Corrected(corrected));
        }
        if told.compared < current.compared && told.received < current.ends() {
            return Some(Change::Aired(told.item));
        }
        let change = Change::Current(told.item.clone());
        self.current = Some(told);
        Some(change)
    }
}

impl Known {
    fn new(event: &LogEvent, asset: &Asset, now: DateTime<Utc>) -> Self {
        let start = parse_start(&event.start, now);
        let item = item(event, asset, start.unwrap_or(now));
        let ahead = item.start - now > AHEAD;
        Self {
            id: event.id.clone(),
            timed: start.is_some(),
            compared: if ahead { now } else { item.start },
            received: now,
            item,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let same_item = if by_hand(&self.id) || by_hand(&other.id) {
            by_hand(&self.id)
                && by_hand(&other.id)
                && self.item.title == other.item.title
                && self.item.artist == other.item.artist
        } else {
            self.id == other.id
        };
        let both_timed = self.timed && other.timed;
        let apart = (self.item.start - other.item.start).abs();
        same_item && (!both_timed || apart <= SAME_START)
    }

    /// Until when an older start can't be what is on.
    fn ends(&self) -> DateTime<Utc> {
        self.received + Duration::milliseconds(self.item.length as i64) + GRACE
    }
}

fn by_hand(id: &str) -> bool {
    id.is_empty() || id.bytes().all(|b| b == b'0')
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
        .or_else(|| find(&|event| by_hand(&event.id) && event.asset.is_some()))
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
fn next_of(events: &[LogEvent], current: Option<&LogEvent>, now: DateTime<Utc>) -> Option<Item> {
    let current = current?;
    let from = parse_start(&current.start, now).unwrap_or(now);
    let unmarked = events
        .iter()
        .filter(|event| !is_marked(event) && !std::ptr::eq(*event, current));
    unmarked
        .filter_map(|event| {
            let start = parse_start(&event.start, now).or(parse_start(&event.scheduled, now))?;
            Some(item(event, event.asset.as_ref()?, start))
        })
        .filter(|item| item.start > from)
        .min_by_key(|item| item.start)
}

fn item(event: &LogEvent, asset: &Asset, start: DateTime<Utc>) -> Item {
    let kind = [&event.kind, &asset.kind]
        .into_iter()
        .find(|kind| !kind.is_empty());
    Item {
        kind: kind.cloned().unwrap_or_default(),
        title: asset.title.clone(),
        artist: asset.artist.clone(),
        album: asset.album.clone(),
        length: played(event, asset) * 1000.0,
        start,
    }
}

/// What is played, in seconds: between the trims, else the file, else what the
/// log plans; 0 where none of them is known.
fn played(event: &LogEvent, asset: &Asset) -> f64 {
    let total = parse_seconds(&asset.total).filter(|total| *total > 0.0);
    let trimmed = match (
        parse_seconds(&asset.trim_in),
        parse_seconds(&asset.trim_out),
    ) {
        (Some(from), Some(to)) if to > from => Some(to - from),
        _ => None,
    };
    trimmed
        .or(total)
        .or_else(|| parse_seconds(&event.duration))
        .unwrap_or(0.0)
}

/// `257.92`, `257,92` or `04:17` as seconds; finite and not negative, at most a day.
fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim().replace(',', ".");
    let mut seconds = 0.0;
    for part in text.split(':') {
        let plain = part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let part: f64 = part.parse().ok().filter(|_| plain)?;
        seconds = seconds * 60.0 + part;
    }
    (0.0..=86_400.0).contains(&seconds).then_some(seconds)
}

/// A start in ISO 8601; without zone it is UTC. Nothing for what can't be one.
fn parse_start(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let naive = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|time| time.and_utc())
    };
    let start = zoned.ok().or_else(naive)?;
    (start > DateTime::UNIX_EPOCH && start - now < ABSURD).then_some(start)
}

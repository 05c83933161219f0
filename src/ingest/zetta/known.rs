//! A remembered airing: which senders declared it, how often, and until when it was on.
//! Knows nothing of the other airings.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::nowplaying::{Change, GRACE, Item};

/// How many senders an airing remembers: more than a station has.
const DECLARATIONS_MOST: usize = 16;

/// An airing that some sender declared, or that is from the play log.
#[derive(Debug)]
pub(super) struct Known {
    /// The item as listeners received it, with the first start that a sender declared.
    pub(super) item: Item,
    pub(super) received: Instant,
    pub(super) last_declared: Instant,
    /// How often it was on: once, and again each time that it was resumed.
    pub(super) times: u32,
    /// When another airing followed; `None` while it is on.
    pub(super) followed: Option<Instant>,
    /// At most [`DECLARATIONS_MOST`]; empty if the airing is from the play log and no sender has
    /// declared it since. The play log has the names of songs only.
    pub(super) declarations: Vec<Declaration>,
}

/// When a sender last declared an airing, and with which start.
#[derive(Debug)]
pub(super) struct Declaration {
    pub(super) sender: u64,
    /// How often the sender changed to the airing.
    pub(super) times: u32,
    pub(super) start: Option<DateTime<Utc>>,
    pub(super) at: Instant,
}

impl Known {
    pub(super) fn declaration(&self, sender: u64) -> Option<&Declaration> {
        self.declarations.iter().find(|d| d.sender == sender)
    }

    /// Whether its length, and a minute, are not over yet.
    pub(super) fn can_be_on(&self, now: Instant) -> bool {
        let length = self.item.duration();
        length.is_zero() || is_within(self.received, length + GRACE, now)
    }

    pub(super) fn is_item(&self, item: &Item) -> bool {
        let is_stored = self.declarations.is_empty();
        let is_masked = is_stored && self.item.id.is_empty() && item.id.is_empty();
        self.item.is_same(item) || (is_masked && self.item.looks_like(item))
    }

    pub(super) fn declared_by(
        &mut self,
        sender: u64,
        start: Option<DateTime<Utc>>,
        at: Instant,
        is_repeat: bool,
    ) {
        self.last_declared = at;
        if let Some(known) = self.declarations.iter_mut().find(|d| d.sender == sender) {
            known.start = known.start.or(start);
            known.times += u32::from(!is_repeat);
            known.at = at;
            return;
        }
        if self.declarations.len() == DECLARATIONS_MOST {
            self.declarations.remove(0);
        }
        self.declarations.push(Declaration {
            sender,
            times: 1,
            start,
            at,
        });
    }

    /// A sender declared the item again, with other texts if it `is_changed`.
    pub(super) fn again(&mut self, item: Item, is_changed: bool) -> Change {
        if !is_changed || self.item.matches(&item) {
            return Change::Again(self.item.clone());
        }
        let start = self.item.start;
        self.item = Item { start, ..item };
        Change::Corrected(self.item.clone())
    }
}

pub(super) fn is_within(since: Instant, most: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) < most
}

//! What becomes of each change: it is published, goes into the play log, and is
//! taken back when nothing new has come for long. Knows no feed.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::Utc;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::rooms::{Rooms, Slot};
use crate::core::event::Event;
use crate::nowplaying::{self, Change, GRACE, Item, Publish, Station, Validity};
use crate::store::Store;

/// What becomes of the changes of all feeds.
pub struct Programme {
    rooms: Arc<Rooms>,
    store: Option<Store>,
    station: Station,
    /// How long what has run out still counts as what was on last.
    stale_after: Duration,
    /// Guards until when what is on counts; held to read or set it.
    on_air: Mutex<Option<OnAir>>,
    /// Guards what the rooms showed when the server was stopped, until a feed says
    /// more: studios repeat what is on to a server that was started anew.
    before: Mutex<Before>,
    /// Wakes [`Programme::run`].
    changed: Notify,
}

#[derive(Default)]
struct Before {
    current: Option<Arc<Event>>,
    next: Option<Arc<Event>>,
}

#[derive(Clone, Copy)]
struct OnAir {
    received: Instant,
    /// From then on nothing is known.
    until: Instant,
}

impl Programme {
    /// What is on in these rooms already goes on, and ends in its time.
    pub fn new(
        rooms: Arc<Rooms>,
        store: Option<Store>,
        station: Station,
        stale_after: Duration,
    ) -> Arc<Self> {
        let before = Before {
            current: rooms.current(),
            next: rooms.next(),
        };
        let programme = Self {
            before: Mutex::new(before),
            rooms,
            store,
            station,
            stale_after,
            on_air: Mutex::default(),
            changed: Notify::new(),
        };
        *programme.lock() = programme.went_on();
        Arc::new(programme)
    }

    /// What a feed publishes with.
    pub fn publish(self: &Arc<Self>) -> Publish {
        let programme = self.clone();
        Arc::new(move |change| programme.take(change))
    }

    /// Tries again what the rooms refused, and takes back what has run out, until
    /// `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let expire = async {
            loop {
                let until = self.lock().map(|on_air| on_air.until);
                tokio::select! {
                    () = expiry(until) => self.expire(),
                    () = self.changed.notified() => {}
                }
            }
        };
        tokio::select! {
            () = expire => {}
            () = self.rooms.retry() => {}
            () = shutdown.cancelled() => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OnAir>> {
        self.on_air.lock().expect("no code panics under this lock")
    }

    fn take(&self, change: Change) {
        if let Some((slot, item)) = Slot::of(&change) {
            let message = item.message(&self.station);
            if !self.was_shown_before(slot, &message) {
                self.rooms.publish(slot, message);
            }
        }
        match &change {
            Change::Current(item) => self.lasts(item.length, None),
            Change::Corrected(item) => {
                let received = self.lock().map(|on_air| on_air.received);
                self.lasts(item.length, received);
            }
            Change::Next(_) | Change::Aired(_) => {}
        }
        if let (Some(store), Some(item)) = (&self.store, aired(change)) {
            store.aired(item.shown(&self.station));
        }
    }

    fn was_shown_before(&self, slot: Slot, message: &RawValue) -> bool {
        let mut before = self.before.lock().expect("no code panics under this lock");
        let before = match slot {
            Slot::Current { .. } => before.current.take(),
            Slot::Next => before.next.take(),
        };
        before.is_some_and(|event| event.publication.message.get() == message.get())
    }

    /// What was received (now, unless it was before) counts for its length, in
    /// milliseconds, and for a while longer.
    fn lasts(&self, length: f64, received: Option<Instant>) {
        let received = received.unwrap_or_else(Instant::now);
        let until = received + self.lasting(length);
        *self.lock() = Some(OnAir { received, until });
        self.changed.notify_one();
    }

    fn lasting(&self, length: f64) -> Duration {
        let grace = GRACE.to_std().expect("a minute is not negative");
        Duration::from_millis(length as u64) + grace + self.stale_after
    }

    /// What was on when the server was stopped.
    fn went_on(&self) -> Option<OnAir> {
        let event = self.rooms.current()?;
        let validity = Validity::of(&event.publication.message)?;
        let age = (Utc::now() - event.time).to_std().unwrap_or_default();
        let now = Instant::now();
        // This clock begins with the machine: what is older than that is over.
        let received = now.checked_sub(age);
        let until = received.map_or(now, |received| received + self.lasting(validity.length));
        let received = received.unwrap_or(now);
        (!validity.stale).then_some(OnAir { received, until })
    }

    fn expire(&self) {
        *self.lock() = None;
        // If it is told again, it is on again.
        self.was_shown_before(Slot::Current { song: false }, RawValue::NULL);
        info!("nothing new was heard for long: nothing is known to be on");
        let message = nowplaying::nothing_known(&self.station, Utc::now());
        self.rooms.publish(Slot::Current { song: false }, message);
    }
}

/// The item of a change that was on air, or is.
fn aired(change: Change) -> Option<Item> {
    match change {
        Change::Current(item) | Change::Corrected(item) | Change::Aired(item) => Some(item),
        Change::Next(_) => None,
    }
}

async fn expiry(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

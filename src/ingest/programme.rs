//! What becomes of each change: it is published, goes into the play log, and is
//! taken back when nothing new has come for long. Knows no feed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::log_pace::LogPace;
use super::rooms::{Rooms, Slot};
use crate::core::event::Event;
use crate::nowplaying::{
    self, Airing, Change, GRACE, Item, Publish, SAME_START, Station, is_stale,
};
use crate::store::Store;

/// What becomes of the changes of all feeds.
///
/// An item counts as current for its length, a minute and `stale_after`, from its receipt. A
/// correction or a repeat is not a new receipt: an item that was taken back stays taken back when a
/// sender repeats it. Only an item without a length, such as a long talk, is on air again.
pub struct Programme {
    rooms: Arc<Rooms>,
    store: Option<Store>,
    station: Station,
    /// How long what has run out still counts as what was on last.
    stale_after: Duration,
    /// Guards what listeners were told; held to decide and while that is published,
    /// so that nothing is taken back which came meanwhile. Publishing never blocks.
    told: Mutex<Told>,
    /// Wakes [`Programme::run`].
    changed: Notify,
    log_pace: LogPace,
}

/// What listeners were told last; at first, what the rooms have kept of that.
struct Told {
    current: Option<OnAir>,
    next: Option<Box<RawValue>>,
    /// The item that a backend posted last, and when.
    posted: Option<(Item, Instant)>,
}

struct OnAir {
    message: Box<RawValue>,
    received: Instant,
    /// From then on nothing is known.
    until: Instant,
    /// Whether it was taken back.
    over: bool,
}

impl Programme {
    /// What is on in these rooms already goes on, and ends in its time.
    pub fn new(
        rooms: Arc<Rooms>,
        store: Option<Store>,
        station: Station,
        stale_after: Duration,
    ) -> Arc<Self> {
        let current = kept(&rooms, stale_after);
        let next = rooms.next().map(|event| event.publication.message.clone());
        let told = Told {
            current,
            next,
            posted: None,
        };
        Arc::new(Self {
            rooms,
            store,
            station,
            stale_after,
            told: Mutex::new(told),
            changed: Notify::new(),
            log_pace: LogPace::new(),
        })
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
                let until = self.lock().until();
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

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut change: Change) {
        if let Change::Current(item) = &mut change
            && item.airing.is_nil()
        {
            item.airing = self.posted(item);
        }
        match &change {
            Change::Current(item)
            | Change::Resumed(item, _)
            | Change::Corrected(item)
            | Change::Again(item) => self.is_on(&change, item),
            Change::Next(item) => self.comes(item),
            Change::NextUnknown => self.forget_next(&mut self.lock()),
        }
        if let (Some(store), Change::Current(item) | Change::Corrected(item)) =
            (&self.store, change)
            && self.log_pace.allows()
        {
            store.aired(item.shown(&self.station));
        }
    }

    /// Returns the airing of an item that a backend posts: the previous one, if the backend posts
    /// the same item again while it may be on air.
    fn posted(&self, item: &Item) -> Uuid {
        let (now, mut told) = (Instant::now(), self.lock());
        if let Some((posted, at)) = &told.posted
            && posted.is_same(item)
            && now - *at <= posted.duration().max(SAME_START)
        {
            return posted.airing;
        }
        let airing = Uuid::new_v4();
        told.posted = Some((
            Item {
                airing,
                ..item.clone()
            },
            now,
        ));
        airing
    }

    fn is_on(&self, change: &Change, item: &Item) {
        let message = item.message(&self.station);
        let now = Instant::now();
        let mut told = self.lock();
        if told.current.as_ref().is_some_and(|current| current.over) {
            self.hear_of_others(&mut told);
        }
        let before = told.current.as_ref();
        let is_news = matches!(change, Change::Current(_) | Change::Resumed(..));
        let before = before.filter(|_| !is_news);
        // Studios repeat what is on every few seconds.
        let is_repeat = matches!(change, Change::Again(_));
        if is_repeat && before.is_none_or(|before| !before.over) {
            return;
        }
        let received = match change {
            Change::Resumed(_, received) => Some(*received),
            _ => before.and_then(|before| before.counts_from(item)),
        };
        let until = received.unwrap_or(now) + lasting(item, self.stale_after);
        if before.is_some_and(|before| before.over && until <= now) {
            return;
        }
        if is_news {
            self.begins(&mut told, item);
        }
        let before = told.current.as_ref().filter(|_| !is_news);
        let is_shown = before.is_some_and(|before| before.shows(&message));
        told.current = Some(OnAir {
            message: message.clone(),
            received: received.unwrap_or(now),
            until,
            over: false,
        });
        if !is_shown {
            let song = item.is_song();
            self.rooms.publish(Slot::Current { song }, message);
        }
        self.changed.notify_one();
    }

    fn comes(&self, item: &Item) {
        let message = item.message(&self.station);
        let mut told = self.lock();
        let shown = told.next.as_ref().map(|next| next.get());
        if shown != Some(message.get()) {
            told.next = Some(message.clone());
            self.rooms.publish(Slot::Next, message);
        }
    }

    /// An item that goes on air is no longer the next one.
    fn begins(&self, told: &mut Told, item: &Item) {
        let next = told.next.as_ref();
        let next = next.and_then(|next| Airing::read(next, Utc::now()));
        if next.is_some_and(|next| next.item.looks_like(item)) {
            self.forget_next(told);
        }
    }

    fn forget_next(&self, told: &mut Told) {
        if told.next.as_ref().is_some_and(|next| !is_stale(next)) {
            let message = nowplaying::nothing_known(&self.station, Utc::now());
            told.next = Some(message.clone());
            self.rooms.publish(Slot::Next, message);
        }
    }

    /// Takes back what is on, unless that is something newer by now.
    fn expire(&self) {
        let mut told = self.lock();
        let has_run_out = |on_air: &&mut OnAir| !on_air.over && on_air.until <= Instant::now();
        let Some(on_air) = told.current.as_mut().filter(has_run_out) else {
            return;
        };
        on_air.over = true;
        if self.hear_of_others(&mut told) {
            self.changed.notify_one();
            return;
        }
        let Some(on_air) = &told.current else {
            return;
        };
        let shown = self.rooms.current();
        let is_shown = |shown: Arc<Event>| shown.publication.message.get() == on_air.message.get();
        if !shown.is_none_or(is_shown) {
            // Another node has said something newer, and taken it back.
            return;
        }
        info!("nothing new was heard for long: nothing is known to be on");
        let message = nowplaying::nothing_known(&self.station, Utc::now());
        self.rooms.take_back(&on_air.message, message);
    }

    /// Takes over what the feed of another node has put on since; false if nothing.
    fn hear_of_others(&self, told: &mut Told) -> bool {
        let is_new = |on_air: &OnAir| {
            let before = told.current.as_ref();
            !on_air.over && before.is_none_or(|b| b.message.get() != on_air.message.get())
        };
        let heard = kept(&self.rooms, self.stale_after);
        let Some(heard) = heard.filter(is_new) else {
            return false;
        };
        told.current = Some(heard);
        true
    }
}

impl Told {
    /// When what is on is to be taken back.
    fn until(&self) -> Option<Instant> {
        let current = self.current.as_ref().filter(|current| !current.over);
        current.map(|current| current.until)
    }
}

impl OnAir {
    /// Since when an item counts that is not new; nothing: from now on.
    ///
    /// Where its length is not known, nothing speaks against a feed that says it is
    /// still on. Where it is, the feed hangs.
    fn counts_from(&self, item: &Item) -> Option<Instant> {
        (!self.over || item.played > 0.0).then_some(self.received)
    }

    fn shows(&self, message: &RawValue) -> bool {
        !self.over && self.message.get() == message.get()
    }
}

/// The item that is on air according to the rooms. If it was taken back, the last song, which is
/// over: a sender that repeats that song does not put it on air again.
fn kept(rooms: &Rooms, stale_after: Duration) -> Option<OnAir> {
    let read = |event: Arc<Event>| {
        let message = event.publication.message.clone();
        Some((Airing::read(&message, event.time)?, message))
    };
    let current = rooms.current().and_then(read);
    let over = current.is_none();
    let (airing, message) = current.or_else(|| rooms.song().and_then(read))?;
    let now = Instant::now();
    let lasting = lasting(&airing.item, stale_after);
    let age = if over {
        // Messages have whole seconds only.
        lasting + Duration::from_secs(1)
    } else {
        airing.age(Utc::now())
    };
    // This clock begins with the machine: what is older than that is over.
    let received = now.checked_sub(age);
    Some(OnAir {
        message,
        received: received.unwrap_or(now),
        until: received.map_or(now, |received| received + lasting),
        over,
    })
}

/// How long an item counts as current, from its receipt.
fn lasting(item: &Item, stale_after: Duration) -> Duration {
    item.duration() + GRACE + stale_after
}

async fn expiry(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

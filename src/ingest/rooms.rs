//! Where tracks go: the rooms of `/metadata`. What a room is too busy to take is
//! held and tried again. Knows the hub; no feed.

mod same;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, warn};

use self::same::Said;
use super::paced::Paced;
use crate::core::error::Error;
use crate::core::event::{Event, Offset, Same, To};
use crate::core::hub::{Granted, Hub, Outside};
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::Publisher;
use crate::nowplaying::{CURRENT_KEY, Change, Item, NAMESPACE, NEXT, NOW_PLAYING, SONG_KEY};

/// After how long a refused track is tried again: a listener does not notice it,
/// and twenty attempts a second cost nothing.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Which room a track is for, and how the room keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What is on now.
    Current {
        /// Whether it is a song, and with it the last song.
        song: bool,
    },
    /// What comes next.
    Next,
}

impl Slot {
    /// Where a change goes, with its item; nowhere if listeners need not hear of it.
    pub fn of(change: &Change) -> Option<(Self, &Item)> {
        match change {
            Change::Current(item) | Change::Resumed(item, _) | Change::Corrected(item) => {
                let song = item.is_song();
                Some((Self::Current { song }, item))
            }
            Change::Next(item) => Some((Self::Next, item)),
            Change::Again(_) => None,
        }
    }
}

/// The rooms that tracks are published in.
pub struct Rooms {
    hub: Arc<Hub>,
    namespace: NamespaceName,
    now_playing: Line,
    next: Line,
    /// Wakes [`Rooms::retry`].
    refused: Notify,
    /// A track is refused again with each attempt: one line in a while says it.
    complaints: Paced,
}

/// A room, and what is to be published there, one after the other.
struct Line {
    room: RoomName,
    /// Guards what waits; held to add or remove only, not while publishing.
    waiting: Mutex<Waiting>,
}

/// The latest song, and the latest of what came behind it: what a newer track
/// covers is over, and would only be in its way.
#[derive(Default)]
struct Waiting {
    song: Option<Track>,
    other: Option<Track>,
    /// The hub has the first one, and has not answered yet.
    in_flight: bool,
    last_number: u64,
    said: Said,
}

#[derive(Clone)]
struct Track {
    number: u64,
    message: Box<RawValue>,
    retain: &'static [&'static str],
    same: Same,
}

impl Rooms {
    /// The rooms of this hub. What they refuse needs [`Rooms::retry`] to run.
    pub fn new(hub: Arc<Hub>) -> Arc<Self> {
        let line = |room| Line {
            room: RoomName::parse(room).expect("a name written here is one"),
            waiting: Mutex::default(),
        };
        Arc::new(Self {
            hub,
            namespace: NamespaceName::parse(NAMESPACE).expect("a name written here is one"),
            now_playing: line(NOW_PLAYING),
            next: line(NEXT),
            refused: Notify::new(),
            complaints: Paced::new(1),
        })
    }

    /// Publishes a track; never blocks.
    pub fn publish(self: &Arc<Self>, slot: Slot, message: Box<RawValue>) {
        self.line(slot).add(slot, message, Said::again);
        self.send(slot);
    }

    /// Publishes that what is on is not known any more, where it was this; never blocks.
    pub fn take_back(self: &Arc<Self>, on_air: &RawValue, message: Box<RawValue>) {
        let slot = Slot::Current { song: false };
        let over = |said: &mut Said, _: &RawValue| said.over(on_air);
        self.line(slot).add(slot, message, over);
        self.send(slot);
    }

    /// The event that says what is on.
    pub fn current(&self) -> Option<Arc<Event>> {
        self.retained(&self.now_playing.room, CURRENT_KEY)
    }

    /// The event that says which song was the last.
    pub fn song(&self) -> Option<Arc<Event>> {
        self.retained(&self.now_playing.room, SONG_KEY)
    }

    /// The event that says what comes next.
    pub fn next(&self) -> Option<Arc<Event>> {
        self.retained(&self.next.room, CURRENT_KEY)
    }

    fn retained(&self, room: &RoomName, key: &str) -> Option<Arc<Event>> {
        self.hub.retained(&self.namespace, room, key)
    }

    /// Tries again what was refused, as long as it runs; then that is lost.
    pub async fn retry(self: &Arc<Self>) {
        loop {
            self.refused.notified().await;
            sleep(RETRY_AFTER).await;
            // One slot of each room; what waits there decides the rest.
            self.send(Slot::Current { song: true });
            self.send(Slot::Next);
        }
    }

    fn line(&self, slot: Slot) -> &Line {
        match slot {
            Slot::Current { .. } => &self.now_playing,
            Slot::Next => &self.next,
        }
    }

    /// Publishes what waits first for this slot's room, unless the room has not
    /// answered the one before: so nothing overtakes.
    fn send(self: &Arc<Self>, slot: Slot) {
        let line = self.line(slot);
        let Some(track) = line.take_off() else {
            return;
        };
        let from = Outside {
            publisher: Publisher::Feed,
            namespace: &self.namespace,
            room: line.room.clone(),
            sender: Nickname::feed(),
            to: To::Everybody,
            message: track.message,
            retain: track.retain,
            granted: Granted::default(),
            same: Some(track.same),
        };
        let rooms = self.clone();
        let done = move |published| rooms.answered(slot, track.number, published);
        self.hub.publish(from, Box::new(done));
    }

    fn answered(self: &Arc<Self>, slot: Slot, number: u64, published: Result<Offset, Error>) {
        let line = self.line(slot);
        match published {
            Ok(offset) => debug!(room = %line.room, %offset, "published"),
            Err(error @ (Error::Busy | Error::Alone | Error::Full(_))) => {
                self.complain(
                    &error,
                    "a room can't take the feed's event; it is tried again",
                );
                line.lock().in_flight = false;
                self.refused.notify_one();
                return;
            }
            Err(error) => self.complain(&error, "the feed's event was refused"),
        }
        line.remove(number);
        self.send(slot);
    }

    fn complain(&self, error: &Error, what: &'static str) {
        let code = error.code();
        if self.complaints.lets(code) {
            warn!(code, %error, "{what}");
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics under this lock")
    }

    fn add(
        &self,
        slot: Slot,
        message: Box<RawValue>,
        same: impl FnOnce(&mut Said, &RawValue) -> Same,
    ) {
        let mut waiting = self.lock();
        let same = same(&mut waiting.said, &message);
        waiting.last_number += 1;
        let number = waiting.last_number;
        let track = |retain| Track {
            number,
            message,
            retain,
            same,
        };
        if slot == (Slot::Current { song: true }) {
            waiting.song = Some(track(&[SONG_KEY, CURRENT_KEY]));
            waiting.other = None;
        } else {
            waiting.other = Some(track(&[CURRENT_KEY]));
        }
    }

    /// The first one, for the hub; it waits on until it is taken.
    fn take_off(&self) -> Option<Track> {
        let mut waiting = self.lock();
        if waiting.in_flight {
            return None;
        }
        let first = waiting.song.as_ref().or(waiting.other.as_ref()).cloned();
        waiting.in_flight = first.is_some();
        first
    }

    /// The hub has answered this one for good; a newer one may be in its place.
    fn remove(&self, number: u64) {
        let mut waiting = self.lock();
        waiting.in_flight = false;
        let Waiting { song, other, .. } = &mut *waiting;
        for place in [song, other] {
            place.take_if(|track| track.number == number);
        }
    }
}

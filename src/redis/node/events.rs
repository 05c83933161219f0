//! What Redis publishes: delivered strictly in its order. Knows rooms, not how they are
//! asked for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{AT_ONCE, PART, Running};
use crate::core::error::Error;
use crate::core::event::{Offset, Order};
use crate::core::name::RoomId;
use crate::core::panics::catch;
use crate::redis::follower::{Follower, Turn};
use crate::redis::frame;
use crate::redis::job::Job;
use crate::redis::link::Push;

/// How much of what is for some only waits for the events before it, or for a room that
/// has too much to deliver; beyond it the oldest is dropped. Some seconds of a lively lobby.
const TELLS_MOST: usize = 1_024;

/// How long it takes until a room that had too much to deliver is tried again.
const STALLED_FOR: Duration = Duration::from_millis(10);

impl Running {
    pub(super) fn take_pushes(&mut self, first: (u64, Push)) {
        let mut next = Some(first);
        let mut taken = 0;
        while let Some((connection, push)) = next {
            self.pushes.waiting.fetch_sub(1, Ordering::Relaxed);
            if connection == self.connection {
                match push {
                    Push::Message { channel, message } => {
                        catch(PART, || self.message(&channel, message));
                    }
                    Push::Lost => self.lose(),
                }
            }
            taken += 1;
            let has_more = taken < AT_ONCE;
            next = has_more.then(|| self.pushed.try_recv().ok()).flatten();
        }
    }

    /// Looks at all that has come on a connection that is given up: it has its place, and
    /// a Redis that comes back may not know of it any more.
    pub(super) fn take_what_came(&mut self) {
        while let Ok((connection, push)) = self.pushed.try_recv() {
            self.pushes.waiting.fetch_sub(1, Ordering::Relaxed);
            if let (true, Push::Message { channel, message }) =
                (connection == self.connection, push)
            {
                self.message(&channel, message);
            }
        }
    }

    /// Something was published in a room: `e` an event, `t` what is for some only, `x`
    /// the end of the room, `q` a question to who has it to himself.
    pub(super) fn message(&mut self, channel: &[u8], message: Vec<u8>) {
        let Some(room) = self.prefix.room(channel) else {
            // There is one other channel that it listens to.
            return self.answer_came(&message);
        };
        // Any program with access to Redis may publish any bytes there.
        let message = std::str::from_utf8(&message).ok();
        match message.and_then(|message| message.split_at_checked(1)) {
            Some(("e", event)) => self.event(&room, event.to_owned()),
            Some(("t", event)) => self.tell(room, event.to_owned()),
            Some(("x", _)) => self.ended(&room),
            Some(("q", question)) => self.question(&room, question),
            _ => {}
        }
    }

    /// Delivers what is for some only, behind the events that came before it.
    fn tell(&mut self, room: RoomId, text: String) {
        let follower = self.followers.get(&room);
        let waits = self.tells.iter().any(|(known, _)| *known == room)
            || follower.is_some_and(|follower| !follower.is_up_to_date());
        if !waits && !matches!(self.deliver(&room, &text), Err(Error::Busy)) {
            return;
        }
        if self.tells.len() >= TELLS_MOST {
            self.tells.pop_front();
            metrics::counter!("roomcast_broker_dropped_total").increment(1);
        }
        self.tells.push_back((room, text));
        self.retry_soon();
    }

    /// Tries again what was for some only; what still can't be delivered, waits on.
    fn tell_again(&mut self) {
        let mut stuck: Vec<RoomId> = Vec::new();
        for (room, text) in std::mem::take(&mut self.tells) {
            let follower = self.followers.get(&room);
            let waits = follower.is_some_and(|follower| !follower.is_up_to_date());
            let waits = waits || stuck.contains(&room);
            if waits || matches!(self.deliver(&room, &text), Err(Error::Busy)) {
                stuck.push(room.clone());
                self.tells.push_back((room, text));
            }
        }
        if !self.tells.is_empty() {
            self.retry_soon();
        }
    }

    /// What could not be done now is tried again in a moment.
    pub(super) fn retry_soon(&mut self) {
        self.retry_at
            .get_or_insert_with(|| Instant::now() + STALLED_FOR);
    }

    /// Delivers an event in its turn.
    pub(super) fn event(&mut self, room: &RoomId, text: String) {
        let Ok((place, _, _)) = frame::read_place(&text) else {
            return warn!(%room, "what came from another node is no event");
        };
        let Some(follower) = self.followers.get_mut(room) else {
            return;
        };
        match follower.turn(place) {
            Turn::Known => {}
            Turn::Early => follower.hold(place, text),
            Turn::Next => match self.deliver(room, &text) {
                Ok(()) => self.has_delivered(room, place),
                Err(Error::Busy) => {
                    if let Some(follower) = self.followers.get_mut(room) {
                        follower.hold(place, text);
                    }
                    self.retry_soon();
                }
                Err(_) => self.has_delivered(room, place),
            },
        }
        self.go_on(room);
    }

    /// Delivers what was held and has its turn now; asks for what is missing.
    pub(super) fn go_on(&mut self, room: &RoomId) {
        while let Some((place, text)) = self.followers.get_mut(room).and_then(Follower::next_held) {
            if let Err(Error::Busy) = self.deliver(room, &text) {
                if let Some(follower) = self.followers.get_mut(room) {
                    follower.put_back(place, text);
                }
                self.retry_soon();
                return;
            }
            self.has_delivered(room, place);
        }
        if let Some(follower) = self.followers.get_mut(room)
            && follower.is_to_ask()
        {
            metrics::counter!("roomcast_broker_gaps_total").increment(1);
            self.urgent.push_back(Job::Sync(room.clone(), false));
        }
    }

    pub(super) fn has_delivered(&mut self, room: &RoomId, place: Offset) {
        if let Some(follower) = self.followers.get_mut(room) {
            follower.at = Some(place);
        }
    }

    /// Passes an event that this or another node has published to the hub. Skips an event that
    /// causes a panic, so that the following ones are delivered.
    pub(super) fn deliver(&mut self, room: &RoomId, text: &str) -> Result<(), Error> {
        catch(PART, || self.deliver_read(room, text)).unwrap_or(Ok(()))
    }

    fn deliver_read(&mut self, room: &RoomId, text: &str) -> Result<(), Error> {
        if let Some((offset, id)) = frame::read_lost(text) {
            self.hub.has_lost(room, offset, id);
            return Ok(());
        }
        let read = match frame::read(text, room, &self.node) {
            Ok(read) => read,
            Err(error) => {
                warn!(%room, %error, "an event is left out");
                return Ok(());
            }
        };
        let order = Order::Given(read.offset, read.time);
        let id = read.publication.id;
        match self.hub.deliver(read.publication, order) {
            Ok(_) => {
                if let Some(came) = id.and_then(|id| self.came.get_mut(&id)) {
                    *came = Some(read.offset);
                }
                Ok(())
            }
            Err(error @ Error::Busy) => Err(error),
            Err(error) => {
                warn!(%room, %error, "an event can't be delivered here");
                Err(error)
            }
        }
    }

    /// Tries again what rooms were too busy for.
    pub(super) fn retry(&mut self) {
        self.retry_at = None;
        let stalled = self.followers.iter().filter(|(_, f)| f.is_stalled());
        let stalled: Vec<_> = stalled.map(|(room, _)| room.clone()).collect();
        for room in stalled {
            self.go_on(&room);
        }
        self.urgent.extend(self.later.drain(..));
        self.tell_again();
    }
}

//! The outbound half of a subscriber: pushes as finished frames on the wire, each
//! with what the subscriber hears at that moment. Knows no request.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::protocol::{self, CLIENT_ACK, CLIENT_PUSH};
use super::refusal::Refusal;
use crate::core::client::ClientId;
use crate::core::encoded::Format;
use crate::core::event::Event;
use crate::core::name::RoomName;
use crate::core::outlet::{CloseReason, Outlet};
use crate::net::Wire;
use crate::net::frame::{close_frame, text_frame, text_frame_before};

/// What of a push is the same for all subscribers.
const PUSH_MESSAGE: Format = Format("push message");

pub(super) struct PushOutlet {
    wire: Wire,
    /// Guards what the subscriber hears; held until what says so is sent, so that
    /// no message has an older list than the one before it.
    hears: Mutex<Hears>,
}

#[derive(Default)]
struct Hears {
    /// In the order of subscription.
    channels: Vec<RoomName>,
    uuid: Option<ClientId>,
    /// The two as each message has them; empty until the subscriber is known.
    written: String,
}

impl PushOutlet {
    pub(super) fn new(wire: Wire) -> Self {
        let hears = Mutex::default();
        Self { wire, hears }
    }

    /// Tells the subscriber who it is.
    pub(super) fn introduce(&self, uuid: ClientId) {
        let mut hears = self.hears();
        hears.uuid = Some(uuid);
        hears.write();
        self.acknowledge(&hears);
    }

    /// The subscriber hears a channel from here on, and is told so.
    pub(super) fn subscribed(&self, channel: &RoomName) {
        let mut hears = self.hears();
        if !hears.channels.contains(channel) {
            hears.channels.push(channel.clone());
            hears.write();
        }
        self.acknowledge(&hears);
    }

    /// The subscriber does not hear a channel any more, and is told so.
    pub(super) fn unsubscribed(&self, channel: &RoomName) {
        let mut hears = self.hears();
        hears.remove(channel);
        self.acknowledge(&hears);
    }

    /// Tells the subscriber why something was not done.
    pub(super) fn refuse(&self, refusal: &Refusal) {
        self.answer(text_frame(&[refusal.json()]));
    }

    fn acknowledge(&self, hears: &Hears) {
        let (before, behind) = CLIENT_ACK;
        self.answer(text_frame(&[before, &hears.written, behind]));
    }

    /// Sends an answer, or ends the connection: who asks may wait for each.
    fn answer(&self, frame: Bytes) {
        if let Err(untaken) = self.wire.answer(frame) {
            self.close(untaken.into());
        }
    }

    fn hears(&self) -> MutexGuard<'_, Hears> {
        self.hears.lock().expect("no code panics under this lock")
    }
}

impl Hears {
    fn remove(&mut self, channel: &RoomName) {
        self.channels.retain(|known| known != channel);
        self.write();
    }

    fn write(&mut self) {
        if let Some(uuid) = self.uuid {
            self.written = protocol::subscriber(uuid, &self.channels);
        }
    }
}

impl Outlet for PushOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let message = event.encoded(PUSH_MESSAGE, || protocol::push_message(event).into());
        let hears = self.hears();
        let own = text_frame_before(&[CLIENT_PUSH, &hears.written], message.len());
        self.wire
            .send_joined(own, &message)
            .map_err(CloseReason::from)
    }

    fn prepare(&self) {
        self.wire.prepare();
    }

    fn lost(&self, room: &RoomName) -> Result<(), CloseReason> {
        // Without a word: so it was, and subscribers don't expect one.
        self.hears().remove(room);
        Ok(())
    }

    fn close(&self, reason: CloseReason) {
        let close = close_frame(reason.websocket_code(), reason.code());
        self.wire.close(close);
    }
}

//! The outbound halves of a connection: what is pushed to it alone goes out as it is,
//! what happens in the other rooms that it is in as events. Knows no backend.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::payload::Payload;
use crate::core::encoded::Format;
use crate::core::event::Event;
use crate::core::name::RoomName;
use crate::core::outlet::{CloseReason, Outlet};
use crate::net::Wire;
use crate::net::frame::{bare_close_frame, binary_frame, close_frame, text_frame};

const PUSHED: Format = Format("webhook push");
const EVENT: Format = Format("webhook event");

/// The close code of an end that was wished for (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

/// The way to the client, with word of its end.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) wire: Wire,
    /// The door has closed the connection: what the client still sends is in vain.
    pub(super) closed: CancellationToken,
    /// Whether the client receives what WSAAS sends: binary frames only, and close frames without a
    /// code.
    pub(super) is_wsaas: bool,
}

/// The half by which the connection's own room is heard.
pub(super) struct OwnOutlet(pub(super) Way);

/// The half by which other rooms are heard, in one namespace.
pub(super) struct RoomsOutlet(pub(super) Way);

impl Outlet for OwnOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let message = &event.publication.message;
        let frame = event.encoded(PUSHED, || {
            Payload::read(message).map_or_else(Bytes::new, |p| frame(&p, self.0.is_wsaas))
        });
        send(&self.0, &frame)
    }

    fn prepare(&self) {
        self.0.wire.prepare();
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Err(CloseReason::RoomDeleted)
    }

    fn close(&self, reason: CloseReason) {
        close(&self.0, reason);
    }
}

impl Outlet for RoomsOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let frame = event.encoded(EVENT, || data_frame(&[event.json().get()], self.0.is_wsaas));
        self.0.wire.send(&frame).map_err(CloseReason::from)
    }

    fn prepare(&self) {
        self.0.wire.prepare();
    }

    /// There are other rooms, and its own.
    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Ok(())
    }

    fn close(&self, reason: CloseReason) {
        close(&self.0, reason);
    }
}

/// A push as a frame; empty where it is the end of the connection.
pub(super) fn frame(payload: &Payload, is_wsaas: bool) -> Bytes {
    match payload {
        Payload::Text(_) | Payload::Text64(_) => data_frame(&[payload.bytes()], is_wsaas),
        Payload::Binary(_) => binary_frame(&[payload.bytes()]),
        Payload::Close => Bytes::new(),
    }
}

fn data_frame<P: AsRef<[u8]>>(parts: &[P], is_wsaas: bool) -> Bytes {
    match is_wsaas {
        true => binary_frame(parts),
        false => text_frame(parts),
    }
}

/// Sends what [`frame`] returned.
pub(super) fn send(way: &Way, frame: &Bytes) -> Result<(), CloseReason> {
    if frame.is_empty() {
        // Behind all frames that were sent before.
        way.wire.finish(match way.is_wsaas {
            true => bare_close_frame(),
            false => close_frame(NORMAL, ""),
        });
        way.closed.cancel();
        return Ok(());
    }
    way.wire.send(frame).map_err(CloseReason::from)
}

pub(super) fn close(way: &Way, reason: CloseReason) {
    let close = close_frame(reason.websocket_code(), reason.code());
    way.wire.close(close);
    way.closed.cancel();
}

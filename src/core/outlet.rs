//! The outbound half of a client, as the hub sees it. A door supplies the type.
//! Knows no protocol: what an event looks like on a wire is the door's matter.

use std::fmt;
use std::sync::Arc;

use super::event::Event;
use super::name::RoomName;

/// How many events may wait for one client before it counts as too slow.
///
/// Every door bounds its queue by this. At the feed's pace (an event every few
/// minutes) it is never half full; a room with 50 events per second fills it in
/// ten seconds, half of the time after which a peer that takes nothing is cut.
pub const OUTLET_QUEUE: usize = 512;

/// The most events that a joining client is sent as its backlog.
///
/// Half of the queue, so that a backlog alone never makes a client too slow.
pub const BACKLOG_MOST: usize = OUTLET_QUEUE / 2;

/// The outbound half of one client. No call blocks, and none calls the hub: it
/// may be holding a lock.
pub trait Outlet: Send + Sync + 'static {
    /// Takes an event for the client. Called in the order of the room's offsets.
    ///
    /// It may be called again after [`Outlet::close`], until the client has left.
    ///
    /// # Errors
    /// The client can't take it: the hub closes it with the reason.
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason>;

    /// Whether the client's queue is less than half full. Otherwise events for this client
    /// alone are refused, so that no other client can get it closed as too slow.
    fn has_room(&self) -> bool {
        true
    }

    /// A word ahead of [`Outlet::deliver`]: called for a few outlets in a row.
    ///
    /// Whoever looks here at what it will need has the processor fetch it for
    /// all of them at once, where each would wait for its own.
    fn prepare(&self) {}

    /// The client is no member of this room any more, since the room was deleted.
    ///
    /// # Errors
    /// It has nothing left to be there for: the hub closes it with the reason.
    fn lost(&self, room: &RoomName) -> Result<(), CloseReason>;

    /// Ends the connection, telling the client why as far as its protocol can.
    ///
    /// The door calls [`Hub::disconnect`](super::hub::Hub::disconnect) later.
    fn close(&self, reason: CloseReason);
}

/// Why the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// More events wait for the client than may ([`OUTLET_QUEUE`]).
    TooSlow,
    /// The connection was gone already.
    Gone,
    /// It sends more than can be taken before it is even connected.
    TooFast,
    /// It has sent more in one piece than is read.
    TooBig,
    /// The only room that it was there for was deleted.
    RoomDeleted,
    /// What it has sent can't be given to whom it is for.
    Undeliverable,
    /// A bug in the server: the client's sink panicked.
    Failed,
    /// It has missed what nobody has any more: while it comes back, it learns that.
    Behind,
    /// The server is stopping; the client is welcome at the next one.
    Stopping,
}

impl CloseReason {
    /// The reason as a stable word, for metrics and programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooSlow => "too_slow",
            Self::Gone => "gone",
            Self::TooFast => "too_fast",
            Self::TooBig => "too_big",
            Self::RoomDeleted => "room_deleted",
            Self::Undeliverable => "undeliverable",
            Self::Failed => "internal_error",
            Self::Behind => "behind",
            Self::Stopping => "stopping",
        }
    }

    /// The code of a WebSocket's close frame: 1001, 1009 and 1011 by RFC 6455, section 7.4.1;
    /// of the own ones 4000 to 4499 mean "come back", and 4500 to 4999 "don't".
    pub fn websocket_code(self) -> u16 {
        match self {
            Self::Stopping => 1001,
            Self::TooSlow => 4000,
            Self::TooFast => 4001,
            Self::TooBig => 1009,
            Self::Gone => 4002,
            Self::Behind => 4003,
            Self::RoomDeleted => 4500,
            Self::Undeliverable | Self::Failed => 1011,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooSlow => "too slow: more events wait than can be held; connect again, with `since` where there is one",
            Self::Gone => "the connection is gone",
            Self::TooBig => "too big: a packet can have twice the bytes that a message can",
            Self::TooFast => "too fast: wait for the answer to what was sent before",
            Self::RoomDeleted => "the room was deleted",
            Self::Undeliverable => "what was sent could not be delivered",
            Self::Failed => "a bug in the server ended this connection; connect again",
            Self::Behind => "events were missed between the nodes; connect again, with `since` where there is one",
            Self::Stopping => "the server is stopping; come back in a moment",
        })
    }
}

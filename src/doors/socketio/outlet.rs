//! The outbound half of a Socket.IO client: events go out as EVENT, straight to
//! the wire where nothing of the engine's is under way, else through the engine.
//! Knows the engine's queue and what a full one means; no verbs.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;
use socketioxide::{ProtocolVersion, SendError, SocketError};
use tracing::error;

use super::link::Link;
use super::shown::Dialect;
use crate::core::event::Event;
use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::Protocol;
use crate::core::outlet::{CloseReason, OUTLET_QUEUE, Outlet};
use crate::core::source::SendBudget;
use crate::net::Wire;
use crate::net::frame::text_frame;

/// Holds the socket weakly: the socket owns its client, not the other way round.
pub(super) struct SocketOutlet {
    /// Packets that the engine was given and that have not gone out. While
    /// there are any, events follow them through the engine: so order holds.
    passing: AtomicUsize,
    /// The client has left the namespace, and may be there anew: nothing for
    /// this one goes out any more. Held while something does.
    left: Mutex<bool>,
    /// The server is stopping, and has told the client so.
    stopping: AtomicBool,
    wire: OnceLock<Wire>,
    namespace: NamespaceName,
    dialect: Dialect,
    socket: Weak<Socket<LocalAdapter>>,
    link: Weak<Link>,
    budget: Arc<SendBudget>,
}

impl SocketOutlet {
    /// The outlet of a client whose CONNECT is about to be answered.
    pub(super) fn new(
        socket: &Arc<Socket<LocalAdapter>>,
        namespace: NamespaceName,
        protocol: Protocol,
        link: &Arc<Link>,
        budget: Arc<SendBudget>,
    ) -> Self {
        let dialect = Dialect {
            protocol,
            prefixed: socket.protocol() == ProtocolVersion::V4,
        };
        Self {
            passing: AtomicUsize::new(1),
            left: Mutex::new(false),
            stopping: AtomicBool::new(false),
            wire: OnceLock::new(),
            namespace,
            dialect,
            socket: Arc::downgrade(socket),
            link: Arc::downgrade(link),
            budget,
        }
    }

    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The send budget of the client; the session's next client in this namespace continues
    /// it.
    pub(super) fn budget(&self) -> Arc<SendBudget> {
        self.budget.clone()
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The id by which the others of a lobby know the client.
    pub(super) fn peer(&self) -> Option<Nickname> {
        let id = self.socket.upgrade()?.id.to_string();
        Some(Nickname::parse(&id).expect("an id is letters, digits, _ and -"))
    }

    /// A peer's id, as the client has it.
    pub(super) fn id<'a>(&self, peer: &'a Nickname) -> Cow<'a, str> {
        self.dialect.id(&self.namespace, peer)
    }

    /// Sends the client away from the namespace; its SDK stays away.
    pub(super) fn disconnect(&self) {
        if let Some(socket) = self.socket.upgrade() {
            // Gone already: that is the same.
            let _ = socket.disconnect();
        }
        if let Some(link) = self.link.upgrade() {
            link.leaves(self.namespace());
        }
    }

    /// Events may go straight to this wire.
    pub(super) fn attach(&self, wire: Wire) {
        // The first one stays: a session moves to a WebSocket once.
        let _ = self.wire.set(wire);
    }

    /// From here on everything for this client is dropped.
    pub(super) fn leave(&self) {
        *self.lock_left() = true;
    }

    pub(super) fn has_left(&self) -> bool {
        *self.lock_left()
    }

    fn lock_left(&self) -> MutexGuard<'_, bool> {
        self.left.lock().expect("no code panics under this lock")
    }

    /// What the one before was sent is still to pass.
    pub(super) fn continues(&self, before: &Self) {
        let passing = before.passing.load(Ordering::Acquire);
        self.passing.fetch_add(passing, Ordering::AcqRel);
    }

    /// Notes that a packet of this client was sent; returns the reason to end the session
    /// now, if that was its last packet.
    pub(super) fn passed(&self) -> Option<CloseReason> {
        let one_less = |passing: usize| passing.checked_sub(1);
        // Below zero only where the engine said something by itself.
        let _ = self
            .passing
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        let last = self.passing.load(Ordering::Acquire) == 0;
        (last && self.stopping.load(Ordering::Acquire)).then_some(CloseReason::Stopping)
    }

    /// Sends an event to this client alone.
    pub(super) fn emit(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), CloseReason> {
        let left = self.lock_left();
        if *left {
            return Ok(());
        }
        match self.direct() {
            Some(wire) => answer(wire, self.frame(event, &json(data)?)),
            None => self.through_engine(event, &raw(data)?),
        }
    }

    fn through_engine(&self, event: &str, data: &RawValue) -> Result<(), CloseReason> {
        let socket = self.socket.upgrade().ok_or(CloseReason::Gone)?;
        self.passes(data)?;
        socket.emit(event, data).map_err(close_reason)
    }

    /// Counts a packet that the engine receives. The packets that wait for a client that polls
    /// too seldom are bounded in bytes, as on a WebSocket.
    fn passes(&self, data: &RawValue) -> Result<(), CloseReason> {
        let link = self.link.upgrade().ok_or(CloseReason::Gone)?;
        link.enqueue(data.get().len())?;
        self.passing.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Answers an event, if its sender has asked for an ack.
    pub(super) fn acknowledge(
        &self,
        ack: Option<i64>,
        answer: &impl Serialize,
    ) -> Result<(), CloseReason> {
        let left = self.lock_left();
        let Some(id) = ack.filter(|_| !*left) else {
            return Ok(());
        };
        if let Some(wire) = self.direct() {
            let (namespace, id) = (self.namespace.as_str(), id.to_string());
            let frame = text_frame(&["43", namespace, ",", &id, "[", &json(answer)?, "]"]);
            return self::answer(wire, frame);
        }
        let socket = self.socket.upgrade().ok_or(CloseReason::Gone)?;
        let answer = raw(answer)?;
        self.passes(&answer)?;
        acknowledge(&socket, ack, &answer)
    }

    /// Sends ERROR, for what went wrong where no ack was asked for.
    pub(super) fn emit_error(
        &self,
        event: Option<&str>,
        problem: &Problem<'_>,
    ) -> Result<(), CloseReason> {
        self.emit("ERROR", &problem.as_event(event))
    }

    /// The wire, if nothing of the engine's is under way to it.
    fn direct(&self) -> Option<&Wire> {
        let wire = self.wire.get()?;
        (self.passing.load(Ordering::Acquire) == 0).then_some(wire)
    }

    fn frame(&self, event: &str, data: &str) -> Bytes {
        let namespace = self.namespace.as_str();
        text_frame(&[r"42", namespace, r#",[""#, event, r#"","#, data, "]"])
    }
}

impl Outlet for SocketOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let left = self.lock_left();
        if *left {
            return Ok(());
        }
        let Some(wire) = self.direct() else {
            let (name, argument) = self.dialect.shown(event);
            return self.through_engine(name, &argument);
        };
        let frame = event.encoded(self.dialect.format(), || {
            let (name, argument) = self.dialect.shown(event);
            self.frame(name, argument.get())
        });
        match event.waits() {
            None => send(wire, &frame),
            Some(waits) => {
                let frame = frame.into_owned();
                let waits = waits.clone();
                send(
                    wire,
                    &Bytes::from_owner(Waiting {
                        frame,
                        _waits: waits,
                    }),
                )
            }
        }
    }

    fn has_room(&self) -> bool {
        self.passing.load(Ordering::Acquire) < OUTLET_QUEUE / 2
            && self.wire.get().is_none_or(Wire::is_half_empty)
    }

    fn prepare(&self) {
        if let Some(wire) = self.wire.get() {
            wire.prepare();
        }
    }

    fn lost(&self, room: &RoomName) -> Result<(), CloseReason> {
        let problem = Problem {
            code: CloseReason::RoomDeleted.code(),
            message: &format!("the room {room} was deleted"),
        };
        self.emit_error(Some("LEAVE"), &problem)
    }

    fn close(&self, reason: CloseReason) {
        if self.has_left() {
            // The session goes on without it.
            return;
        }
        let problem = Problem {
            code: reason.code(),
            message: &reason.to_string(),
        };
        // It may have to wait behind what the engine was given before.
        if reason == CloseReason::Stopping && self.direct().is_none() {
            self.stopping.store(true, Ordering::Release);
            let _left = self.lock_left();
            let said = raw(&problem.as_event(None));
            if said.is_ok_and(|said| self.through_engine("ERROR", &said).is_ok()) {
                return;
            }
        }
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let shown = serde_json::to_string(&problem.as_event(None));
        let word = shown.map(|shown| self.frame("ERROR", &shown));
        // A Socket.IO DISCONNECT would keep an SDK from coming back by itself:
        // the session is ended below it.
        link.close(reason, &word.unwrap_or_default());
    }
}

/// A frame that counts as waiting for its sender until it is written.
struct Waiting {
    frame: Bytes,
    _waits: Arc<()>,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

fn answer(wire: &Wire, frame: Bytes) -> Result<(), CloseReason> {
    wire.answer(frame).map_err(CloseReason::from)
}

fn send(wire: &Wire, frame: &Bytes) -> Result<(), CloseReason> {
    wire.send(frame).map_err(CloseReason::from)
}

fn raw(data: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>, CloseReason> {
    to_raw_value(data).map_err(|error| unwritable(&error))
}

fn json(data: &(impl Serialize + ?Sized)) -> Result<String, CloseReason> {
    serde_json::to_string(data).map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::fmt::Display) -> CloseReason {
    error!(%error, "an event can't be written");
    CloseReason::Gone
}

/// What was wrong with what a client asked for.
pub(super) struct Problem<'a> {
    /// Stable, for programs.
    pub(super) code: &'a str,
    pub(super) message: &'a str,
}

impl Problem<'_> {
    /// As an ack shows it.
    pub(super) fn as_answer(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Shown<'a> {
            status: &'static str,
            code: &'a str,
            message: &'a str,
        }
        Shown {
            status: "error",
            code: self.code,
            message: self.message,
        }
    }

    /// As ERROR shows it, with the event that it is about.
    pub(super) fn as_event<'a>(&'a self, event: Option<&'a str>) -> impl Serialize + 'a {
        #[derive(Serialize)]
        struct Shown<'a> {
            event: Option<&'a str>,
            code: &'a str,
            message: &'a str,
        }
        Shown {
            event,
            code: self.code,
            message: self.message,
        }
    }
}

/// Answers an event of whoever sent it.
pub(super) fn acknowledge(
    socket: &Arc<Socket<LocalAdapter>>,
    ack: Option<i64>,
    answer: &impl Serialize,
) -> Result<(), CloseReason> {
    let mut nothing = Value::Bytes(Bytes::new());
    let sender: AckSender<LocalAdapter> =
        match FromMessageParts::from_message_parts(socket, &mut nothing, &ack) {
            Ok(sender) => sender,
            Err(never) => match never {},
        };
    sender.send(answer).map_err(close_reason)
}

/// What it means for the client that the engine did not take a packet.
pub(super) fn close_reason(error: SendError) -> CloseReason {
    match error {
        SendError::Socket(SocketError::InternalChannelFull) => CloseReason::TooSlow,
        SendError::Socket(SocketError::Closed) => CloseReason::Gone,
        SendError::Serialize(error) => unwritable(&error),
    }
}

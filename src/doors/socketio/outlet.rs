//! The outbound half of a Socket.IO client: events go out as EVENT.
//! Knows the engine's queue and what a full one means; no verbs.

use std::sync::{Arc, Weak};

use serde::Serialize;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use tracing::error;

use crate::core::event::Event;
use crate::core::outlet::{CloseReason, Outlet};
use crate::net::ConnectionHandle;

/// Holds the socket weakly: the socket owns its client, not the other way round.
pub(super) struct SocketOutlet(Weak<Socket<LocalAdapter>>);

impl SocketOutlet {
    pub(super) fn new(socket: &Arc<Socket<LocalAdapter>>) -> Self {
        Self(Arc::downgrade(socket))
    }
}

impl Outlet for SocketOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let socket = self.0.upgrade().ok_or(CloseReason::Gone)?;
        socket.emit("EVENT", event.json()).map_err(close_reason)
    }

    fn close(&self, reason: CloseReason) {
        let Some(socket) = self.0.upgrade() else {
            return;
        };
        let problem = Problem {
            code: reason.code(),
            message: &reason.to_string(),
        };
        let told = emit_error(&socket, None, &problem);
        // A Socket.IO DISCONNECT would keep an SDK from coming back by itself:
        // the connection is ended below it.
        if told.is_err() || reason == CloseReason::TooSlow {
            match socket.req_parts().extensions.get::<ConnectionHandle>() {
                Some(connection) => {
                    connection.kill_switch().kill();
                }
                None => {
                    // Its queue is full or closed: the heartbeat ends it.
                    let _ = socket.disconnect();
                }
            }
        }
    }
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
}

/// Sends ERROR, for what went wrong where no ack was asked for.
pub(super) fn emit_error(
    socket: &Socket<LocalAdapter>,
    event: Option<&str>,
    problem: &Problem<'_>,
) -> Result<(), CloseReason> {
    #[derive(Serialize)]
    struct Shown<'a> {
        event: Option<&'a str>,
        code: &'a str,
        message: &'a str,
    }
    let shown = Shown {
        event,
        code: problem.code,
        message: problem.message,
    };
    socket.emit("ERROR", &shown).map_err(close_reason)
}

/// Answers an event; to be called where an ack was asked for.
pub(super) fn acknowledge(
    socket: &Arc<Socket<LocalAdapter>>,
    ack: Option<i64>,
    answer: &impl Serialize,
) -> Result<(), CloseReason> {
    let mut nothing = Value::Bytes(bytes::Bytes::new());
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
        SendError::Serialize(error) => {
            error!(%error, "an event can't be written");
            CloseReason::Gone
        }
    }
}

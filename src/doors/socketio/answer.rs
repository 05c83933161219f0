//! Where the answer to one event goes, and why there is none but an error.
//! Knows acks and ERROR, not what was asked for.

use std::sync::Arc;

use serde::Serialize;

use super::outlet::{Problem, SocketOutlet};
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::event::OffsetError;
use crate::core::hub::Hub;
use crate::core::name::NameError;
use crate::core::outlet::CloseReason;
use crate::doors::FieldError;

/// How much of an event's name ERROR repeats, in characters: longer ones are
/// no event of ours.
pub(super) const EVENT_SHOWN: usize = 64;

/// Where the answer to one event goes: its ack, or ERROR where none was asked for.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) hub: Arc<Hub>,
    pub(super) client: Arc<Client>,
    pub(super) outlet: Arc<SocketOutlet>,
    pub(super) event: String,
    ack: Option<i64>,
}

impl Answer {
    pub(super) fn new(
        hub: &Arc<Hub>,
        client: &Arc<Client>,
        outlet: &Arc<SocketOutlet>,
        event: String,
        ack: Option<i64>,
    ) -> Self {
        Self {
            hub: hub.clone(),
            client: client.clone(),
            outlet: outlet.clone(),
            event,
            ack,
        }
    }

    pub(super) fn accept(&self, answer: &impl Serialize) {
        if let Err(reason) = self.acknowledge(answer) {
            self.hub.close(&self.client, reason);
        }
    }

    /// Whether the client waits for an ack.
    pub(super) fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }

    /// Accepts what the hub has done, or says why it could not.
    pub(super) fn tell<T>(&self, done: Result<T, Error>, accept: impl FnOnce(T)) {
        match done {
            Ok(done) => accept(done),
            Err(error) => self.refuse(&error.into()),
        }
    }

    /// Sends the client an event of its own.
    pub(super) fn emit(&self, event: &str, data: &impl Serialize) {
        if let Err(reason) = self.outlet.emit(event, data) {
            self.hub.close(&self.client, reason);
        }
    }

    /// Answers what was not handled.
    pub(super) fn fail(&self, invalid: Invalid) {
        let charged = match invalid {
            // The hub has charged it.
            Invalid::Refused(_) => Ok(()),
            Invalid::Event(_)
            | Invalid::Binary
            | Invalid::NoEvent
            | Invalid::Argument { .. }
            | Invalid::Offset(_)
            | Invalid::Name(_)
            | Invalid::NoLobby => self.hub.charge(&self.client),
        };
        match charged {
            Ok(()) => self.refuse(&invalid),
            Err(error) => self.refuse(&error.into()),
        }
    }

    pub(super) fn refuse(&self, invalid: &Invalid) {
        let code = invalid.code();
        metrics::counter!("roomcast_refused_total", "door" => "socketio", "reason" => code)
            .increment(1);
        let problem = Problem {
            code,
            message: &invalid.to_string(),
        };
        let sent = match self.ack {
            Some(_) => self.acknowledge(&problem.as_answer()),
            None => {
                let shown = self.event.chars().take(EVENT_SHOWN).collect::<String>();
                self.outlet.emit_error(Some(&shown), &problem)
            }
        };
        if let Err(reason) = sent {
            self.hub.close(&self.client, reason);
        }
    }

    fn acknowledge(&self, answer: &impl Serialize) -> Result<(), CloseReason> {
        self.outlet.acknowledge(self.ack, answer)
    }
}

/// Why an event was not understood, or not allowed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Invalid {
    #[error("there is no such event; there are {0}")]
    Event(&'static str),
    #[error("binary attachments are not understood here")]
    Binary,
    #[error("an event must be [name, argument], and the name must be a string")]
    NoEvent,
    #[error("{why}; this event takes {form}")]
    Argument { form: &'static str, why: FieldError },
    #[error("`since`: {0}")]
    Offset(#[from] OffsetError),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("join a lobby first")]
    NoLobby,
    #[error(transparent)]
    Refused(#[from] Error),
}

impl Invalid {
    fn code(&self) -> &'static str {
        match self {
            Self::Event(_) => "unknown_event",
            Self::Binary | Self::NoEvent | Self::Argument { .. } => "invalid_request",
            Self::Offset(_) => "invalid_offset",
            Self::Name(_) => "invalid_name",
            Self::NoLobby => "not_in_room",
            Self::Refused(error) => error.code(),
        }
    }
}

//! Why something was not done: ERROR, of which both ports have the same form, and in
//! this protocol's words. Knows no connection.

use axum::http::StatusCode;
use serde::Serialize;

use super::protocol;
use crate::core::error::Error;
use crate::core::name::NameError;
use crate::doors::{FieldError, status_of};

/// Why something was not done: ERROR.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For metrics: a stable word.
    pub(super) reason: &'static str,
    details: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, details: impl ToString) -> Self {
        let details = details.to_string();
        Self {
            status,
            reason: "invalid_request",
            details,
        }
    }

    /// The same, counted under another word.
    pub(super) fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    /// What was sent is not what it should be.
    pub(super) fn bad(details: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, details)
    }

    /// The message ERROR.
    pub(super) fn json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Data<'a> {
            error_details: &'a str,
        }
        let message = match self.status {
            // As the clients know it.
            StatusCode::NOT_FOUND => "Not found",
            status => status.canonical_reason().unwrap_or_default(),
        };
        protocol::written(
            "ERROR",
            self.status,
            message,
            Data {
                error_details: &self.details,
            },
        )
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        Self::bad(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let is_long_name = matches!(
            error,
            Error::Name(NameError::TooLong { .. }) | Error::NameTooLong { .. }
        );
        // These two have a status of their own in this protocol.
        let status = if is_long_name {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if matches!(error, Error::Full(_)) {
            StatusCode::TOO_MANY_REQUESTS
        } else {
            status_of(&error)
        };
        let reason = error.code();
        // In this protocol's words.
        let details = match error {
            Error::NotCreated(channel) => format!("there is no channel {channel}"),
            Error::RoomExists(channel) => format!("there is a channel {channel} already"),
            Error::TokenNeeded(channel) => format!("`channelToken` is needed for {channel}"),
            Error::WrongToken(channel) => format!("this is not the token of {channel}"),
            Error::Full(_) => {
                "there are as many channels as there can be, or they keep as much as they can"
                    .to_owned()
            }
            Error::TooManyRooms(most) => format!("a client can hear {most} channels at most"),
            Error::Name(_) | Error::NameTooLong { .. } => {
                error.to_string().replacen("the room", "the channel", 1)
            }
            Error::HistoryTooLong(most) => format!("a channel can keep {most} messages at most"),
            // A text has its quotes besides.
            Error::TooBig(most) => format!(
                "a message can have {} bytes at most, as it is written in JSON",
                most - 2
            ),
            other @ (Error::NoToken(_)
            | Error::UnknownNamespace(_)
            | Error::Reserved { .. }
            | Error::UnknownRoom { .. }
            | Error::NotAllowed { .. }
            | Error::NameRequired(_)
            | Error::Crowded(_)
            | Error::NoPeer(_)
            | Error::NotInRoom(_)
            | Error::TooDeep(_)
            | Error::TooManyOfAddress(_)
            | Error::Busy
            | Error::Alone
            | Error::Closing) => other.to_string(),
        };
        Self::new(status, details).because(reason)
    }
}

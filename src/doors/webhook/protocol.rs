//! The webhook protocol: what the backend is told and what it answers, and what it is
//! answered by REST. Pure.

use axum::http::StatusCode;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::payload::Payload;
use crate::core::error::Error;
use crate::core::name::{NameError, NamespaceName, RoomName};
use crate::doors::status_of;

/// What the backend is told of a connection.
#[derive(Serialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Notice<'a> {
    /// It has come, and waits for the answer.
    NewConnection {
        ws_uri: &'a str,
        /// In milliseconds.
        timeout: u64,
    },
    /// It is gone.
    ConnectionClose { ws_uri: &'a str },
}

impl Notice<'_> {
    pub(super) fn body(&self) -> Bytes {
        let body = serde_json::to_vec(self).expect("strings and numbers always serialize");
        body.into()
    }
}

/// What the backend wants for a connection that it takes.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    /// What the client is sent first.
    pub(super) send: Vec<Payload>,
    /// The rooms that it is in.
    pub(super) rooms: Vec<(NamespaceName, RoomName)>,
    /// What could not be read.
    pub(super) wrong: Vec<String>,
}

/// Why the backend's answer lets nobody in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotWelcome {
    /// It says so.
    Refused,
    /// It is not what it should be.
    Rubbish(String),
}

/// Reads what the backend answers to a new connection.
///
/// The code `OK` accepts the client, whatever else the answer holds: parts that can't be read are
/// left out, and listed in `wrong`. WSAAS looks at the status only: for its backends (`is_wsaas`),
/// an answer without a code also accepts the client.
pub(super) fn welcome(body: &[u8], is_wsaas: bool) -> Result<Welcome, NotWelcome> {
    #[derive(Deserialize)]
    struct Answer {
        code: String,
        #[serde(default)]
        send: Option<Box<RawValue>>,
        #[serde(default)]
        rooms: Option<Box<RawValue>>,
    }
    // Without its words: the log has nothing that a backend says.
    let rubbish = |error: serde_json::Error| {
        NotWelcome::Rubbish(format!(
            "no JSON object with a `code`, at column {}",
            error.column()
        ))
    };
    let answer: Answer = match serde_json::from_slice(body) {
        Err(_) if is_wsaas => return Ok(Welcome::default()),
        read => read.map_err(rubbish)?,
    };
    if answer.code != OK {
        return Err(NotWelcome::Refused);
    }
    let mut welcome = Welcome::default();
    let send = answer
        .send
        .map(|list| serde_json::from_str::<Vec<Box<RawValue>>>(list.get()));
    match send.transpose() {
        Ok(list) => {
            let payloads = list.iter().flatten().map(|json| Payload::of_json(json));
            welcome.send = payloads.collect();
        }
        Err(_) => welcome.wrong.push("`send` is no list".to_owned()),
    }
    let rooms = answer
        .rooms
        .map(|list| serde_json::from_str::<Vec<String>>(list.get()));
    match rooms.transpose() {
        Ok(paths) => {
            for path in paths.iter().flatten() {
                match room(path) {
                    Ok(room) => welcome.rooms.push(room),
                    Err(_) => welcome
                        .wrong
                        .push("in `rooms` is what is no /NAMESPACE/ROOM".to_owned()),
                }
            }
        }
        Err(_) => welcome
            .wrong
            .push("`rooms` is no list of strings".to_owned()),
    }
    Ok(welcome)
}

/// What stands for a room: `/NAMESPACE/ROOM`.
fn room(path: &str) -> Result<(NamespaceName, RoomName), NameError> {
    let parts = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    let (namespace, room) = parts.ok_or(NameError::NotANamespace)?;
    let namespace = NamespaceName::parse(&format!("/{namespace}"))?;
    Ok((namespace, RoomName::parse(room)?))
}

/// The media type of a client's message. WSAAS declares every message as JSON; for its backends
/// (`is_wsaas`), only a message that is not UTF-8 has another type.
pub(super) fn media_type(body: &[u8], is_text: bool, is_wsaas: bool) -> &'static str {
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match is_text {
        _ if is_wsaas && std::str::from_utf8(body).is_ok() => "application/json",
        true if is_json() => "application/json",
        true => "text/plain",
        false => "application/octet-stream",
    }
}

const OK: &str = "OK";

/// What a request to the REST side is answered.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(skip)]
    pub(super) status: StatusCode,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    connection: Option<About>,
}

/// What is known of a connection.
#[derive(Debug, Serialize)]
pub(super) struct About {
    /// Since when it is connected.
    since: String,
    /// From which address.
    from: String,
    /// The rooms that it is in.
    rooms: Vec<String>,
}

impl About {
    pub(super) fn new(since: DateTime<Utc>, from: String, rooms: Vec<String>) -> Self {
        let since = since.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self { since, from, rooms }
    }
}

impl Answer {
    pub(super) fn ok() -> Self {
        Self::new(StatusCode::OK, OK, None)
    }

    pub(super) fn about(connection: About) -> Self {
        Self {
            connection: Some(connection),
            ..Self::ok()
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", None)
    }

    pub(super) fn too_long() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LONG", None)
    }

    pub(super) fn bad(status: StatusCode, why: impl ToString) -> Self {
        Self::new(status, "BAD_REQUEST", Some(why.to_string()))
    }

    /// Somebody who may not ask.
    pub(super) fn refused(status: StatusCode, why: &str) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            _ => "FORBIDDEN",
        };
        Self::new(status, code, Some(why.to_owned()))
    }

    fn new(status: StatusCode, code: &'static str, message: Option<String>) -> Self {
        Self {
            status,
            code,
            message,
            connection: None,
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("strings always serialize")
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        match status_of(&error) {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_long(),
            status @ StatusCode::NOT_FOUND => {
                Self::new(status, "NOT_FOUND", Some(error.to_string()))
            }
            status => Self::bad(status, error),
        }
    }
}

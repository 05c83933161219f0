//! What is sent to one client, as it stands in the room that the client has to itself.
//! Pure: knows no frame.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// What is sent to one client, or done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Payload {
    /// A text frame.
    Text(String),
    /// A text frame that is shorter in base64 than with JSON's escapes.
    Text64(String),
    /// A binary frame, in base64.
    Binary(String),
    /// The end of the connection.
    Close,
}

impl Payload {
    /// A body as it came: text if it is UTF-8, unless it is declared to be binary.
    pub(super) fn of_body(body: &[u8], is_binary: bool) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) if !is_binary => Self::of_text(text),
            _ => Self::Binary(BASE64_STANDARD.encode(body)),
        }
    }

    fn of_text(text: &str) -> Self {
        // What JSON writes with up to six characters would exceed the limit of a
        // message, which base64 never does.
        let escaped = text.bytes().filter(|byte| *byte < b' ').count();
        if escaped > text.len() / 16 {
            Self::Text64(BASE64_STANDARD.encode(text))
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// A string as it is, and other JSON as it is written.
    pub(super) fn of_json(json: &RawValue) -> Self {
        match serde_json::from_str::<String>(json.get()) {
            Ok(text) => Self::of_text(&text),
            Err(_) => Self::of_text(json.get()),
        }
    }

    /// As it stands in the room.
    pub(super) fn message(&self) -> Box<RawValue> {
        to_raw_value(self).expect("strings always serialize")
    }

    /// Reads it from there; none if it is nothing of this door's.
    pub(super) fn read(message: &RawValue) -> Option<Self> {
        serde_json::from_str(message.get()).ok()
    }

    /// What its frame holds.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Text64(coded) | Self::Binary(coded) => {
                BASE64_STANDARD.decode(coded).unwrap_or_default().into()
            }
            Self::Close => Bytes::new(),
        }
    }
}

/// The most that a payload of so many bytes takes in a room.
pub(super) fn message_most(bytes: usize) -> usize {
    // Base64, or text of which a sixteenth is written with six characters and all
    // the rest with two.
    2 * bytes + bytes / 4 + 64
}

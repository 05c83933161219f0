//! The doors that are measured, by what is said at each: how a client comes to hear
//! of events, and how one looks there. Knows no connection.

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

/// The room, or what the names of all of them begin with.
pub const ROOM: &str = "r";

/// What stands before a push's receiver.
const PUSH: &str =
    r#"{"messageType":"CLIENT_PUSH","code":200,"message":"Push Message","data":{"uuid":""#;

/// What stands between a push's receiver and what is pushed.
const PUSHED: &str = r#"","subscribedChannels":["r"],"pushMessage":"#;

/// A receiver, as the floor writes one; all are as long.
const UUID: &str = "00000000-0000-4000-8000-000000000000";

/// What stands before every packet of the namespace.
const EVENT: &str = r#"42/bus,["EVENT","#;

/// How a door speaks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Speech {
    /// As Socket.IO.
    SocketIo,
    /// As the push door.
    Push,
    /// As the raw door: nothing but events.
    Raw,
}

/// What a client does next on its way into the room.
pub enum Step {
    /// It says this, and waits for an answer.
    Say(String),
    /// It is in the room, behind the event of this number.
    Joined(usize),
}

/// An event as it is heard.
#[derive(Deserialize)]
pub struct Told {
    /// What was published.
    pub message: Value,
    offset: Option<String>,
}

#[derive(Deserialize)]
struct Joined {
    status: String,
    offset: String,
}

impl Speech {
    /// What a WebSocket is opened with.
    pub fn target(self) -> &'static str {
        match self {
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Push => "/",
            Self::Raw => "/api/?target=bus&room=r",
        }
    }

    /// What comes of a packet that is heard on the way into the room.
    ///
    /// # Errors
    /// It is none of those that come there.
    pub fn step(self, packet: &[u8], room: &str, name: usize) -> anyhow::Result<Step> {
        let said = std::str::from_utf8(packet)?;
        let is_open = said.starts_with("0{") || said.ends_with(r#""subscribedChannels":[]}}"#);
        Ok(match self {
            Self::SocketIo if is_open => Step::Say("40/bus,".to_owned()),
            Self::SocketIo if said.starts_with("40/bus,") => Step::Say(format!(
                r#"42/bus,0["JOIN",{{"room":"{room}","name":"n{name}"}}]"#
            )),
            Self::SocketIo => Step::Joined(joined_behind(said)?),
            Self::Push if is_open => Step::Say(
                r#"{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","data":{"channel":"r"}}"#
                    .to_owned(),
            ),
            Self::Push => {
                let is_in = said.ends_with(r#""subscribedChannels":["r"]}}"#);
                ensure!(is_in, "not subscribed: {said}");
                Step::Joined(0)
            }
            Self::Raw => anyhow::bail!("not expected: {said}"),
        })
    }

    /// The part of an event's packet that everybody gets byte for byte.
    pub fn shared(self, packet: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Push => packet.strip_prefix(PUSH.as_bytes())?.get(UUID.len()..),
            Self::SocketIo | Self::Raw => Some(packet),
        }
    }

    /// Reads that part of the event of this number.
    ///
    /// # Errors
    /// It is none, or that of another.
    pub fn read(self, shared: &[u8], number: usize) -> anyhow::Result<Told> {
        let (before, behind) = match self {
            Self::SocketIo => (EVENT, "]"),
            Self::Push => (PUSHED, "}}"),
            Self::Raw => ("", ""),
        };
        let inner = shared.strip_prefix(before.as_bytes());
        let inner = inner.and_then(|inner| inner.strip_suffix(behind.as_bytes()));
        let told: Told = serde_json::from_slice(inner.context("not an event")?)?;
        if let Some(offset) = &told.offset {
            ensure!(in_room(offset)? == number, "the offset {offset}");
        }
        Ok(told)
    }

    /// The event as the door sends it, and as long.
    pub fn event(self, message: &str, number: usize) -> String {
        let event = format!(
            r#"{{"sender":"POST","room":"r","message":{message},"offset":"floorfloor00-{number}","time":"2024-07-09T21:00:35.000Z"}}"#
        );
        match self {
            Self::SocketIo => format!("{EVENT}{event}]"),
            Self::Push => {
                format!(r#"{PUSH}{UUID}{PUSHED}{{"channel":"r","message":{message}}}}}}}"#)
            }
            Self::Raw => event,
        }
    }
}

/// The number of the room's latest event, as the answer to JOIN says it.
///
/// # Errors
/// The room was not joined.
pub fn joined_behind(answer: &str) -> anyhow::Result<usize> {
    let shown = || format!("not a JOIN's answer: {answer}");
    let joined = answer.strip_prefix("43/bus,0").with_context(shown)?;
    let [joined]: [Joined; 1] = serde_json::from_str(joined).with_context(shown)?;
    ensure!(joined.status == "ok", shown());
    in_room(&joined.offset)
}

/// The number in an offset: offsets are `EPOCH-NUMBER`.
fn in_room(offset: &str) -> anyhow::Result<usize> {
    let number = offset.rsplit_once('-').map(|(_, number)| number.parse());
    number
        .context("an offset without a number")?
        .context("an offset")
}

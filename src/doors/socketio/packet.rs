//! The packets that a client sends: Engine.IO's and, in its messages, Socket.IO's.
//! Each is parsed completely and re-encoded before the engine reads it, so that the
//! engine's own parsers receive only packets that this one has understood. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::BINARIES_MOST;

/// The close code of a session whose client sends an invalid packet (RFC 6455, section 7.4.1).
pub(super) const PROTOCOL_ERROR: u16 = 1002;

/// The version of Engine.IO that a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Engine.IO v3 with Socket.IO protocol v4: SDKs of version 1 and 2.
    V3,
    /// Engine.IO v4 with Socket.IO protocol v5: SDKs of version 3 and 4.
    V4,
}

impl Version {
    /// The value of `EIO` in a query.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// The longest name of a namespace that is accepted, in bytes; ours are shorter. The answer
/// to a CONNECT with an unknown name repeats the name.
const NAMESPACE_MOST: usize = 256;

/// An Engine.IO packet of a client (Engine.IO protocol, "Packet encoding").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Close,
    Ping,
    /// The ping that probes a WebSocket before an upgrade.
    Probe,
    Pong,
    Message(SocketPacket<'a>),
    Upgrade,
    Noop,
    /// An attachment.
    Binary(Vec<u8>),
}

/// A Socket.IO packet (Socket.IO protocol, "Packet encoding").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SocketPacket<'a> {
    pub(super) kind: PacketKind,
    /// How many attachments follow.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    /// The query behind the namespace; only v3 has one.
    pub(super) query: Option<&'a str>,
    ack: Option<u64>,
    payload: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    Connect,
    Disconnect,
    Event,
    Ack,
}

/// Why a packet is invalid. It ends the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PacketError {
    #[error("a packet is empty")]
    Empty,
    #[error("a client can't send a packet of type {0:?} here")]
    Type(char),
    #[error("a packet of type {0:?} must have no data")]
    Trailing(char),
    #[error("binary data in text must be base64")]
    Base64,
    #[error("a binary packet must announce a number of attachments, {BINARIES_MOST} at most")]
    Attachments,
    #[error("the first packet on an upgrading WebSocket must be 2probe")]
    NoProbe,
    #[error("no packet has announced this attachment")]
    UnexpectedBinary,
    #[error("attachments of the previous packet are missing")]
    MissingBinary,
    #[error(
        "the name of a namespace is longer than {NAMESPACE_MOST} bytes or has control characters"
    )]
    Namespace,
    #[error("the ack number is missing or too big")]
    Ack,
    #[error("the data of a CONNECT must be a JSON object")]
    ConnectData,
    #[error("the data of an event must be a JSON array that begins with its name")]
    EventData,
    #[error("the data of an ack must be JSON")]
    AckData,
}

impl<'a> Packet<'a> {
    /// Reads a packet that came as text.
    ///
    /// # Errors
    /// The text is not a whole and valid packet of a client.
    pub(super) fn parse(text: &'a str, version: Version) -> Result<Self, PacketError> {
        let mut characters = text.chars();
        let kind = characters.next().ok_or(PacketError::Empty)?;
        let rest = characters.as_str();
        let bare = |packet| match rest {
            "" => Ok(packet),
            _ => Err(PacketError::Trailing(kind)),
        };
        match (kind, version) {
            ('1', _) => bare(Self::Close),
            ('2', _) if rest == "probe" => Ok(Self::Probe),
            ('2', _) => bare(Self::Ping),
            ('3', _) => bare(Self::Pong),
            ('4', _) => SocketPacket::parse(rest, version).map(Self::Message),
            ('5', _) => bare(Self::Upgrade),
            ('6', _) => bare(Self::Noop),
            ('b', Version::V4) => attachment(rest),
            ('b', Version::V3) => attachment(rest.strip_prefix('4').ok_or(PacketError::Base64)?),
            _ => Err(PacketError::Type(kind)),
        }
    }

    /// Encodes the packet for the engine, in one form for all transports and versions.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Close => "1".to_owned(),
            Self::Ping => "2".to_owned(),
            Self::Probe => "2probe".to_owned(),
            Self::Pong => "3".to_owned(),
            Self::Message(message) => message.encode(),
            Self::Upgrade => "5".to_owned(),
            Self::Noop => "6".to_owned(),
            Self::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
        }
    }
}

fn attachment(text: &str) -> Result<Packet<'_>, PacketError> {
    let bytes = STANDARD.decode(text).map_err(|_| PacketError::Base64)?;
    Ok(Packet::Binary(bytes))
}

impl<'a> SocketPacket<'a> {
    fn parse(text: &'a str, version: Version) -> Result<Self, PacketError> {
        let mut characters = text.chars();
        let digit = characters.next().ok_or(PacketError::Empty)?;
        let (kind, is_binary) = match digit {
            '0' => (PacketKind::Connect, false),
            '1' => (PacketKind::Disconnect, false),
            '2' => (PacketKind::Event, false),
            '3' => (PacketKind::Ack, false),
            '5' => (PacketKind::Event, true),
            '6' => (PacketKind::Ack, true),
            _ => return Err(PacketError::Type(digit)),
        };
        let mut rest = characters.as_str();
        let mut attachments = 0;
        if is_binary {
            let (count, behind) = rest.split_once('-').ok_or(PacketError::Attachments)?;
            attachments = number(count)
                .and_then(|count| usize::try_from(count).ok())
                .filter(|count| *count <= BINARIES_MOST)
                .ok_or(PacketError::Attachments)?;
            rest = behind;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        } else if let Some(behind) = rest.strip_prefix(',') {
            // The comma behind an omitted `/`.
            rest = behind;
        }
        let mut query = None;
        if version == Version::V3
            && kind == PacketKind::Connect
            && let Some((name, asked)) = namespace.split_once('?')
        {
            (namespace, query) = (name, Some(asked));
        }
        if namespace.len() > NAMESPACE_MOST || namespace.chars().any(char::is_control) {
            return Err(PacketError::Namespace);
        }
        if version == Version::V3 && kind == PacketKind::Connect {
            // In v3 a CONNECT has no data: the rest is a query that contains a comma.
            rest = "";
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (id, payload) = rest.split_at(digits);
        let ack = match (id, kind) {
            ("", PacketKind::Ack) => return Err(PacketError::Ack),
            ("", _) => None,
            (id, PacketKind::Event | PacketKind::Ack) => Some(number(id).ok_or(PacketError::Ack)?),
            (_, PacketKind::Connect) => return Err(PacketError::ConnectData),
            (_, PacketKind::Disconnect) => return Err(PacketError::Trailing(digit)),
        };
        check(kind, payload)?;
        Ok(Self {
            kind,
            attachments,
            namespace,
            query,
            ack,
            payload,
        })
    }

    fn encode(&self) -> String {
        let mut text = String::with_capacity(self.namespace.len() + self.payload.len() + 32);
        text.push('4');
        let binary = self.attachments > 0;
        text.push(match (self.kind, binary) {
            (PacketKind::Connect, _) => '0',
            (PacketKind::Disconnect, _) => '1',
            (PacketKind::Event, false) => '2',
            (PacketKind::Ack, false) => '3',
            (PacketKind::Event, true) => '5',
            (PacketKind::Ack, true) => '6',
        });
        if binary {
            text += &format!("{}-", self.attachments);
        }
        if self.namespace != "/" {
            text += self.namespace;
            text.push(',');
        }
        if let Some(ack) = self.ack {
            text += &ack.to_string();
        }
        text + self.payload
    }
}

/// Parses a number of decimal digits only, up to the largest integer that JavaScript
/// represents exactly.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    (number < 1 << 53).then_some(number)
}

/// Checks the JSON of a packet.
fn check(kind: PacketKind, payload: &str) -> Result<(), PacketError> {
    match kind {
        PacketKind::Connect => {
            let is_object = payload.starts_with('{') && is_json(payload);
            (payload.is_empty() || is_object)
                .then_some(())
                .ok_or(PacketError::ConnectData)
        }
        PacketKind::Disconnect => match payload {
            "" => Ok(()),
            _ => Err(PacketError::Trailing('1')),
        },
        // The protocol wants an array, but the server ignores the data of acks.
        PacketKind::Ack => (payload.starts_with(['[', '{']) && is_json(payload))
            .then_some(())
            .ok_or(PacketError::AckData),
        PacketKind::Event => {
            let parts: Vec<&RawValue> =
                serde_json::from_str(payload).map_err(|_| PacketError::EventData)?;
            let name = parts.first().ok_or(PacketError::EventData)?;
            match serde_json::from_str::<String>(name.get()) {
                Ok(_) => Ok(()),
                Err(_) => Err(PacketError::EventData),
            }
        }
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;

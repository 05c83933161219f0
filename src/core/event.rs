//! Events and their offsets: what was published in a room, and its place there.
//! Knows nothing of rooms' members, of doors or of how an event is written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::client::{ClientId, ClientKey};
use super::encoded::{Encoded, Format};
use super::name::{NamespaceName, Nickname, RoomName};
use super::token::TokenHash;

/// How often an event's texts are in memory while it is kept: the message, the
/// JSON of it, and the form of the door that most clients use.
///
/// With clients at four doors there are three forms more: twice the estimate.
const COPIES: usize = 3;

/// What a written form has beside the texts: keys, offset, time and framing.
const ENVELOPE: usize = 128;

/// Which life of a room an offset belongs to: 12 characters of `a-z0-9`.
///
/// A room that is made anew (after a restart, or once it was given up while
/// empty) has another epoch, so its numbers are never taken for the old ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; Epoch::LEN]);

impl Epoch {
    const LEN: usize = 12;
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

    /// An epoch that was not used before (62 random bits).
    pub fn random() -> Self {
        let mut bits = Uuid::new_v4().as_u128();
        Self(std::array::from_fn(|_| {
            let digit = (bits % 36) as usize;
            bits /= 36;
            Self::ALPHABET[digit]
        }))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an epoch holds only a-z0-9")
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Epoch {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let epoch: [u8; Self::LEN] = text.as_bytes().try_into().map_err(|_| OffsetError)?;
        let in_alphabet = epoch.iter().all(|b| Self::ALPHABET.contains(b));
        in_alphabet.then_some(Self(epoch)).ok_or(OffsetError)
    }
}

/// An event's place in its room, written `EPOCH-N` everywhere.
///
/// The first event of an epoch has number 1; number 0 is the start of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset {
    /// The life of the room that the number counts in.
    pub epoch: Epoch,
    /// Counts up by one with each event of the room.
    pub number: u64,
}

impl Offset {
    /// The highest number, 2^53: JavaScript and Lua represent integers exactly up to it, and
    /// no room comes near it.
    pub const NUMBER_MOST: u64 = 1 << 53;

    /// Returns the offset unless the number is too high for any room. For offsets from outside.
    pub fn checked(epoch: Epoch, number: u64) -> Option<Self> {
        (number <= Self::NUMBER_MOST).then_some(Self { epoch, number })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

/// The text is not an offset of the form `EPOCH-N`, or its epoch is none.
#[derive(Debug, thiserror::Error)]
#[error("an offset has the form EPOCH-N (12 characters of a-z0-9, a hyphen, a number)")]
pub struct OffsetError;

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let (epoch, number) = text.split_once('-').ok_or(OffsetError)?;
        let decimal = number.bytes().all(|b| b.is_ascii_digit());
        if !decimal {
            return Err(OffsetError);
        }
        let number = number.parse().map_err(|_| OffsetError)?;
        Self::checked(epoch.parse()?, number).ok_or(OffsetError)
    }
}

impl Serialize for Offset {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is published; each protocol has its own names for what it knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message to the room: EVENT, of a trigger EVENTS, in a lobby MESSAGE.
    Message,
    /// A trigger's UPDATES.
    Update,
    /// A trigger's STATUS.
    Status,
    /// A message to one peer of a lobby: RTCSIGNAL.
    Signal,
    /// The sender has come to a lobby: JOINED.
    Joined,
    /// The sender has left a lobby, or its connection has ended: LEFT.
    Left,
}

/// Whom a publication is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Everybody in the room.
    Everybody,
    /// The one member of a lobby that has this name.
    Peer(Nickname),
    /// Those of these clients that are in the room.
    These(Arc<[ClientId]>),
}

/// Something that is to be published, before the room has given it an offset.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The namespace of the room.
    pub namespace: NamespaceName,
    /// The room.
    pub room: RoomName,
    /// What it is.
    pub kind: Kind,
    /// Who publishes, as the others see it.
    pub sender: Nickname,
    /// Whom it is for; where not for everybody, it is nowhere kept.
    pub to: To,
    /// Passed through as it came: never parsed, never re-ordered.
    pub message: Box<RawValue>,
    /// The client that is not told of it, since it is its own.
    pub origin: Option<ClientKey>,
    /// Under which retain keys the room keeps it; empty: the room's first key.
    pub retain: Vec<String>,
    /// Of the token by which it may be published, where each room has one: it is for
    /// no other room of that name.
    pub token: Option<TokenHash>,
    /// By what it is known again where it may come twice: to another node, or to the
    /// clients of this one that have heard it while the others could not.
    pub id: Option<Uuid>,
    /// What it has in common with the same thing said to another node; none: it is not
    /// said to any other.
    pub same: Option<Same>,
}

/// What things have in common that are the same, said to several nodes: they are
/// published once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Same {
    /// Made of what is said.
    pub id: Uuid,
    /// What was said before may be said again from now on, and is new then.
    pub begins_anew: bool,
}

/// Who says where among a room's events a publication comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The room of this node: it gives the next offset.
    Here,
    /// What joins the nodes: the offset is given, or the last one where the publication
    /// is not for everybody; and so is the time.
    Given(Offset, DateTime<Utc>),
}

impl Publication {
    /// Under which of the keys that are offered its room keeps it: those it names, or
    /// the first.
    pub fn retained_as<'a>(&'a self, offered: &'a [String]) -> impl Iterator<Item = &'a str> {
        let named = &self.retain;
        let all = offered.iter().map(String::as_str).enumerate();
        let is_one = move |key: &str| named.iter().any(|name| name == key);
        all.filter(move |(at, key)| is_one(key) || (named.is_empty() && *at == 0))
            .map(|(_, key)| key)
    }
}

/// One thing that was published in a room.
#[derive(Debug)]
pub struct Event {
    /// What was published, where and by whom.
    pub publication: Publication,
    /// Its place in the room; where it is not for everybody, the place behind which
    /// it was sent: see [`Event::place`].
    pub offset: Offset,
    /// When the room took it.
    pub time: DateTime<Utc>,
    json: OnceLock<Box<RawValue>>,
    encoded: Encoded,
    waits: Option<Arc<()>>,
    /// Whether the event is the current one; `None` unless it was made by
    /// [`for_joining`](Self::for_joining).
    is_current: Option<bool>,
    /// The copies of this event for joining clients: the one that is over, and the current one.
    for_joining: [OnceLock<Arc<Event>>; 2],
}

impl Event {
    /// The event that a room makes of a publication.
    pub fn new(publication: Publication, offset: Offset, time: DateTime<Utc>) -> Self {
        Self {
            publication,
            offset,
            time,
            json: OnceLock::new(),
            encoded: Encoded::default(),
            waits: None,
            is_current: None,
            for_joining: Default::default(),
        }
    }

    /// Returns the event for clients that join and receive several retained events: it says
    /// whether it is the current one. Made once, on first use.
    pub(super) fn for_joining(&self, is_current: bool) -> Arc<Self> {
        let made = self.for_joining[usize::from(is_current)].get_or_init(|| {
            Arc::new(Self {
                is_current: Some(is_current),
                ..Self::new(self.publication.clone(), self.offset, self.time)
            })
        });
        made.clone()
    }

    /// Returns the event with a counter: the sender's clone of `waits` shows how many of its
    /// events still wait for their recipient.
    pub(super) fn counted_by(self, waits: Arc<()>) -> Self {
        Self {
            waits: Some(waits),
            ..self
        }
    }

    /// The counter of an event for a single client, if it has one. A queue holds a clone of it
    /// while the event waits; the number of clones limits the sender.
    pub fn waits(&self) -> Option<&Arc<()>> {
        self.waits.as_ref()
    }

    /// Its place in the room, if it has one of its own: what is for some members
    /// only has none.
    pub fn place(&self) -> Option<Offset> {
        let has_place = self.publication.to == To::Everybody;
        has_place.then_some(self.offset)
    }

    /// The event as every door shows it: `{sender, room, message, offset, time, current}`.
    /// Events without an offset have no `offset`; only those of `Event::for_joining` have
    /// `current`.
    ///
    /// Written once, on first use, however many clients get it.
    pub fn json(&self) -> &RawValue {
        self.json.get_or_init(|| {
            #[derive(Serialize)]
            struct Shown<'a> {
                sender: &'a Nickname,
                room: &'a RoomName,
                message: &'a RawValue,
                #[serde(skip_serializing_if = "Option::is_none")]
                offset: Option<Offset>,
                time: String,
                #[serde(skip_serializing_if = "Option::is_none")]
                current: Option<bool>,
            }
            to_raw_value(&Shown {
                sender: &self.publication.sender,
                room: &self.publication.room,
                message: &self.publication.message,
                offset: self.place(),
                time: self.time.to_rfc3339_opts(SecondsFormat::Millis, true),
                current: self.is_current,
            })
            .expect("strings and raw JSON always serialize")
        })
    }

    /// The event as a door writes it: made by `encode` on first use, then shared
    /// by all clients who get it in this format.
    ///
    /// `encode` may use [`Event::json`], but no other format of the same event.
    pub fn encoded(&self, format: Format, encode: impl FnOnce() -> Bytes) -> Cow<'_, Bytes> {
        self.encoded.get(format, encode)
    }

    /// What the event costs while it is kept, in bytes: an estimate that stays
    /// the same from the moment the event is made.
    ///
    /// It counts the texts once for the message and once for each form that an
    /// event usually has after it was delivered.
    pub fn weight(&self) -> usize {
        let publication = &self.publication;
        let message = publication.message.get().len();
        let names = publication.sender.as_str().len() + publication.room.as_str().len();
        size_of::<Self>() + COPIES * (message + names + ENVELOPE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reads_back_as_written() {
        let offset = Offset {
            epoch: Epoch::random(),
            number: 42,
        };
        assert_eq!(offset.to_string().parse::<Offset>().unwrap(), offset);
    }

    #[test]
    fn what_is_not_an_offset_is_refused() {
        for text in [
            "",
            "-",
            "abcdefghijkl",
            "abcdefghijkl-",
            "abcdefghijk-1",
            "abcdefghijkl-+1",
            "abcdefghijkl-1 ",
            "ABCDEFGHIJKL-1",
            "abcdefghijkl-18446744073709551616",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_message_is_shown_as_it_came_with_an_offset_if_it_has_one() {
        let message = r#"{"b": 1.50, "a":"\u00e9"}"#;
        let cases = [
            (To::Everybody, r#","offset":"abcdefghijkl-7""#),
            (To::These(Arc::new([])), ""),
        ];
        for (to, offset) in cases {
            let event = Event::new(
                Publication {
                    namespace: NamespaceName::parse("/layout").unwrap(),
                    room: RoomName::parse("r").unwrap(),
                    kind: Kind::Message,
                    sender: Nickname::parse("anna").unwrap(),
                    to,
                    message: RawValue::from_string(message.into()).unwrap(),
                    origin: None,
                    retain: Vec::new(),
                    token: None,
                    id: None,
                    same: None,
                },
                "abcdefghijkl-7".parse().unwrap(),
                DateTime::from_timestamp_millis(1_727_137_942_005).unwrap(),
            );
            assert_eq!(
                event.json().get(),
                format!(
                    r#"{{"sender":"anna","room":"r","message":{message}{offset},"time":"2024-09-24T00:32:22.005Z"}}"#
                )
            );
        }
    }
}

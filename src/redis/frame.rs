//! How a publication is written for other nodes, and read again: a line of JSON behind
//! its offset and time. Knows no command of Redis and no room.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::core::client::{ClientId, ClientKey};
use crate::core::event::{Event, Kind, Offset, Publication, To};
use crate::core::name::{Nickname, RoomId};

/// The name of a node, for as long as its process lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeId(String);

impl NodeId {
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// A client of this node, as other nodes know it.
    pub(super) fn origin(&self, key: ClientKey) -> String {
        format!("{}:{}", self.0, key.number())
    }

    /// Which client of this node that is, if it is one.
    fn own(&self, origin: &str) -> Option<ClientKey> {
        let (node, key) = origin.split_once(':')?;
        if node != self.0 {
            return None;
        }
        key.parse().ok().map(ClientKey::of)
    }
}

/// A publication in its place.
pub(super) struct Frame {
    pub(super) publication: Publication,
    pub(super) offset: Offset,
    pub(super) time: DateTime<Utc>,
}

/// Why what came is no publication: another program writes there, or a newer version.
#[derive(Debug, thiserror::Error)]
#[error("what came from another node is no publication: {0}")]
pub(super) struct Unreadable(String);

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    /// By what it is known again.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(rename = "k", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "s", borrow)]
    sender: Cow<'a, str>,
    #[serde(rename = "m", borrow, default, skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    /// The client that it is from.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    retain: Vec<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    these: Option<Vec<ClientId>>,
}

/// What all nodes are told of a publication.
pub(super) fn write(publication: &Publication, node: &NodeId) -> String {
    let (peer, these) = match &publication.to {
        To::Everybody => (None, None),
        To::Peer(name) => (Some(name.to_string()), None),
        To::These(clients) => (None, Some(clients.to_vec())),
    };
    let has_message = !matches!(publication.kind, Kind::Joined | Kind::Left);
    let written = Written {
        id: publication.id,
        kind: word(publication.kind).into(),
        sender: publication.sender.as_str().into(),
        message: has_message.then_some(&*publication.message),
        origin: publication.origin.map(|key| node.origin(key)),
        retain: publication.retain.clone(),
        peer,
        these,
    };
    serde_json::to_string(&written).expect("strings and raw JSON always serialize")
}

/// An event with its place, as the stream of its room has it.
pub(super) fn write_event(event: &Event, node: &NodeId) -> String {
    let Offset { epoch, number } = event.offset;
    let time = event.time.timestamp_millis();
    let payload = write(&event.publication, node);
    format!("{epoch} {number} {time} {payload}")
}

/// Reads the place of an event: `EPOCH NUMBER MILLISECONDS`; what stands behind it is
/// the rest.
pub(super) fn read_place(text: &str) -> Result<(Offset, DateTime<Utc>, &str), Unreadable> {
    let mut parts = text.splitn(4, ' ');
    let mut part = || parts.next().unwrap_or_default();
    let unreadable = || Unreadable("it has no place".to_owned());
    let epoch = part().parse().map_err(|_| unreadable())?;
    let number = part().parse().map_err(|_| unreadable())?;
    let offset = Offset::checked(epoch, number).ok_or_else(unreadable)?;
    let time = part().parse().ok();
    let time = time.and_then(DateTime::from_timestamp_millis);
    Ok((offset, time.ok_or_else(unreadable)?, part()))
}

/// The beginning of a note in the stream of a room: a node has lost events of that room.
const LOST: &str = "lost ";

/// Writes such a note. The node that writes it adds `id` as an early event: its members have
/// received the lost events.
pub(super) fn write_lost(id: Uuid) -> String {
    format!("{LOST}{id}")
}

/// Reads the offset and the id of such a note.
pub(super) fn read_lost(text: &str) -> Option<(Offset, Uuid)> {
    let (offset, _, payload) = read_place(text).ok()?;
    Some((offset, payload.strip_prefix(LOST)?.parse().ok()?))
}

/// Reads what [`write()`] has written, behind its place.
pub(super) fn read(text: &str, room: &RoomId, node: &NodeId) -> Result<Frame, Unreadable> {
    let (offset, time, payload) = read_place(text)?;
    let unreadable = |why: &dyn ToString| Unreadable(why.to_string());
    let written: Written<'_> = serde_json::from_str(payload).map_err(|why| unreadable(&why))?;
    let nickname = |text: &str| Nickname::stored(text).map_err(|why| unreadable(&why));
    let to = match (&written.peer, written.these) {
        (Some(peer), _) => To::Peer(nickname(peer)?),
        (None, Some(these)) => To::These(these.into()),
        (None, None) => To::Everybody,
    };
    let kind = kind(&written.kind).ok_or_else(|| unreadable(&"it is of no known kind"))?;
    let origin = written.origin.and_then(|origin| node.own(&origin));
    Ok(Frame {
        publication: Publication {
            namespace: room.namespace.clone(),
            room: room.room.clone(),
            kind,
            sender: nickname(&written.sender)?,
            to,
            message: written.message.unwrap_or(RawValue::NULL).to_owned(),
            origin,
            retain: written.retain,
            token: None,
            id: written.id,
            same: None,
        },
        offset,
        time,
    })
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Message, "message"),
    (Kind::Update, "update"),
    (Kind::Status, "status"),
    (Kind::Signal, "signal"),
    (Kind::Joined, "joined"),
    (Kind::Left, "left"),
];

fn word(kind: Kind) -> &'static str {
    let known = KINDS.iter().find(|(known, _)| *known == kind);
    known.expect("all kinds have a word").1
}

fn kind(word: &str) -> Option<Kind> {
    let known = KINDS.iter().find(|(_, known)| *known == word);
    known.map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::core::name::{NamespaceName, RoomName};

    fn room() -> RoomId {
        RoomId {
            namespace: NamespaceName::parse("/n").unwrap(),
            room: RoomName::parse("r").unwrap(),
        }
    }

    #[test]
    fn a_publication_is_read_as_it_was_written() {
        let node = NodeId::random();
        let peer = Nickname::stored("zetta").unwrap();
        let tos = [To::Everybody, To::Peer(peer), To::These(Arc::new([]))];
        for (at, (kind, _)) in KINDS.into_iter().enumerate() {
            let publication = Publication {
                namespace: room().namespace,
                room: room().room,
                kind,
                sender: Nickname::stored("an\"na ü").unwrap(),
                to: tos[at % tos.len()].clone(),
                message: to_raw_value("x y\u{2028}").unwrap(),
                origin: Some(ClientKey::of(7)),
                retain: vec!["song".into(); at % 2],
                token: None,
                id: (at > 2).then(Uuid::new_v4),
                same: None,
            };
            let text = format!(
                "abcdefghijkl-9 5 1727137942005 {}",
                write(&publication, &node)
            );
            assert!(
                read(&text, &room(), &node).is_err(),
                "an epoch has no number"
            );
            let text = format!(
                "abcdefghijkl 5 1727137942005 {}",
                write(&publication, &node)
            );
            let frame = read(&text, &room(), &node).unwrap();
            assert_eq!(frame.offset.to_string(), "abcdefghijkl-5");
            assert_eq!(frame.time.timestamp_millis(), 1_727_137_942_005);
            let read_again = frame.publication;
            let has_message = !matches!(kind, Kind::Joined | Kind::Left);
            let message = if has_message {
                publication.message.get()
            } else {
                "null"
            };
            assert_eq!(read_again.message.get(), message);
            assert_eq!(
                (
                    read_again.kind,
                    read_again.sender,
                    read_again.to,
                    read_again.origin
                ),
                (
                    kind,
                    publication.sender.clone(),
                    publication.to.clone(),
                    publication.origin
                )
            );
            assert_eq!(
                (read_again.retain, read_again.id),
                (publication.retain.clone(), publication.id)
            );
            let elsewhere = super::read(&text, &room(), &NodeId::random()).unwrap();
            assert_eq!(elsewhere.publication.origin, None, "of another node");
        }
    }

    #[test]
    fn what_is_no_publication_is_refused() {
        let node = NodeId::random();
        for text in [
            "",
            "abcdefghijkl 5",
            "abcdefghijkl 5 6",
            "abcdefghijkl 5 6 {}",
            "abcdefghijkl 18446744073709551615 6 {\"k\":\"left\",\"s\":\"a\"}",
            "abcdefghijkl x 6 {\"k\":\"left\",\"s\":\"a\"}",
            "abcdefghijkl 5 6 {\"k\":\"other\",\"s\":\"a\"}",
            "abcdefghijkl 5 6 {\"k\":\"left\",\"s\":\"\"}",
        ] {
            assert!(read(text, &room(), &node).is_err(), "{text:?} was taken");
        }
    }

    use std::sync::Arc;
}

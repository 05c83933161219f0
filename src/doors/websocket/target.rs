//! What a raw WebSocket is for, as its query says it. Parsed once.

use crate::core::error::Error;
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomName};
use crate::core::namespace::Protocol;

/// Whose listeners the deployed apps are: they name no room, and take each frame
/// for a track.
const METADATA: &str = "/metadata";
const NOW_PLAYING: &str = "now-playing";

/// A room, and what a frame of it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: NamespaceName,
    pub(super) room: RoomName,
    pub(super) shape: Shape,
}

/// What stands in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The message alone: a track.
    Track,
    /// The event, with sender, room, offset and time.
    Event,
}

/// Why there is no such target; the first two texts are the deployed gateway's.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongTarget {
    #[error("Missing target parameter")]
    Missing,
    #[error("Invalid target parameter")]
    Invalid,
    #[error("Invalid target parameter: {0}")]
    Refused(Error),
    #[error("Missing room parameter")]
    NoRoom,
    #[error("Invalid room parameter")]
    WrongRoom,
}

impl Target {
    /// What `?target=NAMESPACE&room=ROOM` names.
    pub(super) fn of(query: &str, hub: &Hub) -> Result<Self, WrongTarget> {
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs
                .find_map(|(key, value)| (key == name).then_some(value))
                .filter(|value| !value.is_empty())
        };
        let name = value("target").ok_or(WrongTarget::Missing)?;
        let name = NamespaceName::parse(&format!("/{name}")).map_err(|_| WrongTarget::Invalid)?;
        let namespace = hub.namespaces().find(|namespace| namespace.name == name);
        let namespace = namespace.ok_or(WrongTarget::Invalid)?;
        if let Some(refused) = hub.refusal(&name) {
            return Err(WrongTarget::Refused(refused));
        }
        if namespace.protocol != Protocol::Room {
            return Err(WrongTarget::Invalid);
        }
        let is_metadata = name.as_str() == METADATA;
        let room = match value("room") {
            Some(room) => RoomName::parse(&room).map_err(|_| WrongTarget::WrongRoom)?,
            None if is_metadata => RoomName::parse(NOW_PLAYING).expect("it is a room's name"),
            None => return Err(WrongTarget::NoRoom),
        };
        Ok(Self {
            namespace: name,
            room,
            shape: if is_metadata {
                Shape::Track
            } else {
                Shape::Event
            },
        })
    }
}

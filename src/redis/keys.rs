//! What things are called in Redis. Knows no command.

use ::redis::Cmd;

use crate::core::name::{NamespaceName, RoomId, RoomName};

/// What all names begin with; channels know no database, so it is a part of them.
#[derive(Clone, Debug)]
pub(super) struct Prefix(String);

impl Prefix {
    pub(super) fn of(database: u32) -> Self {
        Self(format!("roomcast:{database}:"))
    }

    /// The channel of a room, with which all of its keys begin: what is in braces
    /// decides the slot of a cluster (Redis Cluster specification, "Hash tags").
    pub(super) fn channel(&self, room: &RoomId) -> String {
        format!("{}{{{}/{}}}", self.0, room.namespace, room.room)
    }

    /// The key of a namespace, where the names of rooms are that were created.
    pub(super) fn created(&self, namespace: &NamespaceName) -> String {
        format!("{}created:{{{namespace}}}", self.0)
    }

    /// The channel of a node, where its questions are answered.
    pub(super) fn inbox(&self, node: &str) -> String {
        format!("{}node:{{{node}}}", self.0)
    }

    /// Which room's channel this is.
    pub(super) fn room(&self, channel: &[u8]) -> Option<RoomId> {
        let channel = std::str::from_utf8(channel).ok()?;
        let name = channel.strip_prefix(&self.0)?.strip_prefix('{')?;
        let name = name.strip_suffix('}')?;
        let slash = 1 + name.get(1..)?.find('/')?;
        Some(RoomId {
            namespace: NamespaceName::parse(&name[..slash]).ok()?,
            room: RoomName::parse(&name[slash + 1..]).ok()?,
        })
    }
}

/// Names the keys of a room that all scripts get, in their order; the last is its
/// channel.
pub(super) fn add_keys(command: &mut Cmd, channel: &str) {
    for part in [":m", ":s", ":k", ":n", ""] {
        command.arg(format!("{channel}{part}"));
    }
}

/// By what an event of a room is known again.
pub(super) fn same(channel: &str, id: uuid::Uuid) -> String {
    format!("{channel}:i:{}", id.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_says_which_room_it_is_of() {
        let prefix = Prefix::of(3);
        for name in ["r", "a/b", "{x}", "}", "ü {", "now-playing"] {
            let room = RoomId {
                namespace: NamespaceName::parse("/metadata").unwrap(),
                room: RoomName::parse(name).unwrap(),
            };
            let channel = prefix.channel(&room);
            assert_eq!(prefix.room(channel.as_bytes()), Some(room), "{channel}");
            assert_eq!(Prefix::of(0).room(channel.as_bytes()), None);
        }
        for other in ["", "roomcast:3:", "roomcast:3:{", "roomcast:3:{/n}"] {
            assert_eq!(prefix.room(other.as_bytes()), None, "{other}");
        }
    }
}

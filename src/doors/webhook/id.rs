//! The id of a connection, which is also the name of the room that the connection has to itself.

use std::fmt;

use uuid::Uuid;

use crate::core::name::RoomName;

/// The id of a connection: a random UUID with hyphens, from the operating system's random numbers.
/// A program that knows the id may write to the client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Id(RoomName);

impl Id {
    pub(super) fn random() -> Self {
        let text = Uuid::new_v4().hyphenated().to_string();
        Self(RoomName::parse(&text).expect("hexadecimal digits and hyphens are a room's name"))
    }

    /// Parses the id in a request; `None` if the text is no id.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?.hyphenated().to_string();
        (uuid == text).then(|| RoomName::parse(text).ok().map(Self))?
    }

    /// The id of the connection that has this room to itself.
    pub(super) fn of(room: RoomName) -> Self {
        Self(room)
    }

    /// The first eight characters, for the log: the whole id would allow writing to the client.
    pub(super) fn short(&self) -> &str {
        &self.0.as_str()[..8]
    }

    /// The room that the connection has to itself.
    pub(super) fn room(&self) -> &RoomName {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! What the hub refuses, with a stable code for each reason.
//! Knows no door: each translates these into its own protocol.

use super::name::NameError;

/// Why the hub refused something. Nothing was changed, nobody else noticed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is empty, too long or holds what a name can't hold.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A backend publishes without the namespace's token.
    #[error("to publish in {0} its token is needed, as `Authorization: Bearer TOKEN`")]
    TokenNeeded(String),
    /// A backend publishes with what is not the namespace's token.
    #[error("this is not the token of {0}")]
    WrongToken(String),
    /// The namespace has no token, so no backend publishes there.
    #[error("publishing over HTTP is closed in {0}: it has no token")]
    NoToken(String),
    /// A name is longer than its namespace allows.
    #[error("the {what} is longer than {most} characters")]
    NameTooLong {
        /// Which name, as in `the name of the room`.
        what: &'static str,
        /// The longest that is allowed, in characters.
        most: usize,
    },
    /// There is no such namespace.
    #[error("there is no namespace {0}")]
    UnknownNamespace(String),
    /// The namespace's name is taken for something that is not built yet.
    #[error("{namespace} is reserved: {why}")]
    Reserved {
        /// The namespace.
        namespace: String,
        /// What it is reserved for.
        why: String,
    },
    /// The namespace has fixed rooms, and this is none of them.
    #[error("there is no room {room} here; there are: {known}")]
    UnknownRoom {
        /// The room that was asked for.
        room: String,
        /// The rooms that exist.
        known: String,
    },
    /// A backend has to create a room of that name first, or has deleted it.
    #[error("there is no room {0} here: it was not created, or it was deleted")]
    NotCreated(String),
    /// There is a room of that name already.
    #[error("there is a room {0} already")]
    RoomExists(String),
    /// A room is to keep more events than its namespace lets one.
    #[error("a room can keep {0} events at most")]
    HistoryTooLong(usize),
    /// The verb, or publishing, is not for this client in this namespace.
    #[error("{verb} is not allowed in {namespace}")]
    NotAllowed {
        /// What was asked for.
        verb: &'static str,
        /// The namespace.
        namespace: String,
    },
    /// The namespace wants a name of everybody who joins.
    #[error("a name is needed to join a room of {0}")]
    NameRequired(String),
    /// There are as many peers in the lobby as there may be.
    #[error("there can be {0} peers in a lobby at most")]
    Crowded(usize),
    /// Nobody of that name is in the client's lobby.
    #[error("there is no peer {0} in this lobby")]
    NoPeer(String),
    /// The client is not in the room.
    #[error("the client is not in {0}; join it first")]
    NotInRoom(String),
    /// The client is in as many rooms as it may be.
    #[error("a client can be in {0} of them at a time at most; leave one first")]
    TooManyRooms(usize),
    /// The namespace holds as many rooms as it may, or retains as much.
    #[error("{0} holds as much as it can; try again later")]
    Full(String),
    /// The message is too big.
    #[error("a message can have {0} bytes at most")]
    TooBig(usize),
    /// The message is nested too deeply.
    #[error("a message can be nested {0} levels deep at most")]
    TooDeep(usize),
    /// The clients of one address have opened as many rooms as allowed.
    #[error("the clients of one address can have at most {0} rooms of a namespace open")]
    TooManyOfAddress(usize),
    /// The room has more to deliver than it can hold.
    #[error("the room is busy; try again later")]
    Busy,
    /// What joins the nodes does not answer, and this can't be done without it.
    #[error("the other nodes can't be asked now; try again later")]
    Alone,
    /// The client was closed, or the server is stopping.
    #[error("the connection is closing")]
    Closing,
}

impl Error {
    /// The code of the reason: stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::NameTooLong { .. } => "invalid_name",
            Self::TokenNeeded(_) => "token_needed",
            Self::WrongToken(_) => "wrong_token",
            Self::NoToken(_) => "no_token",
            Self::UnknownNamespace(_) => "unknown_namespace",
            Self::Reserved { .. } => "reserved",
            Self::UnknownRoom { .. } | Self::NotCreated(_) => "unknown_room",
            Self::RoomExists(_) => "room_exists",
            Self::HistoryTooLong(_) => "history_too_long",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NameRequired(_) => "name_required",
            Self::NotInRoom(_) => "not_in_room",
            Self::NoPeer(_) => "no_such_peer",
            Self::TooManyRooms(_) | Self::TooManyOfAddress(_) => "too_many_rooms",
            Self::Full(_) | Self::Crowded(_) => "full",
            Self::TooBig(_) => "too_big",
            Self::TooDeep(_) => "too_deep",
            Self::Busy => "busy",
            Self::Alone => "alone",
            Self::Closing => "closing",
        }
    }
}

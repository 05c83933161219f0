//! What a namespace is: the rules of its rooms, as data.
//! Knows no files and no TOML: whoever makes one has read and checked it.

use super::name::{NamespaceName, RoomName};
use super::pace::Pace;
use super::token::Token;

/// The most rooms that a namespace holds at once; of those that backends create on all
/// nodes together, of others on each.
///
/// An empty room is about 1 KiB; what they keep together is bounded in bytes.
pub const ROOMS_MOST: usize = 10_000;

/// What the clients of a namespace speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Rooms to join, with events that have offsets: JOIN, NOTIFY, EVENT.
    Room,
    /// One lobby per client, whose peers signal each other.
    Lobby,
    /// Rooms that pass triggers on: events, updates, status.
    Trigger,
}

impl Protocol {
    /// All there are, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Room, Self::Lobby, Self::Trigger];

    /// The word for it in a namespace's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Lobby => "lobby",
            Self::Trigger => "trigger",
        }
    }
}

/// What a client of the room protocol can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Enter a room.
    Join,
    /// Leave a room.
    Leave,
    /// Publish in a room.
    Notify,
    /// Ask who is in a room.
    Clients,
}

impl Verb {
    /// All there are, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Join, Self::Leave, Self::Notify, Self::Clients];

    /// The word for it on the wire and in a namespace's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "JOIN",
            Self::Leave => "LEAVE",
            Self::Notify => "NOTIFY",
            Self::Clients => "CLIENTS",
        }
    }
}

/// Who may publish in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publisher {
    /// The clients in the room.
    Clients,
    /// Backends over HTTP.
    Http,
    /// The studio's feed.
    Feed,
}

impl Publisher {
    /// All there are, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Clients, Self::Http, Self::Feed];

    /// The word for it in a namespace's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Http => "http",
            Self::Feed => "feed",
        }
    }
}

/// Which clients of a namespace may publish in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishFrom {
    /// Only members of the room publish in it.
    Members,
    /// All clients of the namespace publish in any of its rooms.
    Anyone,
}

impl PublishFrom {
    /// All values, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Members, Self::Anyone];

    /// The word for it in a namespace's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Anyone => "anyone",
        }
    }
}

/// Which rooms a namespace has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rooms {
    /// Any: a room is there once somebody joins it or publishes in it.
    Open,
    /// These and no others.
    Fixed(Vec<RoomName>),
    /// Those that a backend has created, until it deletes them. Each has a token
    /// of its own, and says what it keeps: of what the namespace offers.
    Created,
    /// Each client has one to itself, which nobody else joins.
    Own,
}

/// How much one client may ask of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest nickname, in characters.
    pub nickname_chars: usize,
    /// The longest name of a room, in characters.
    pub room_chars: usize,
    /// How many rooms one client may be in at once.
    pub rooms_per_client: usize,
    /// Most open rooms that the clients of one address have opened.
    pub rooms_per_address: usize,
    /// The biggest message of an event, in bytes of its JSON.
    pub message_bytes: usize,
    /// How many events per second one client may send, in the long run.
    pub events_per_second: u32,
    /// How many events one client may send at once after a quiet time.
    pub burst: u32,
}

impl Limits {
    /// How fast one client may send.
    pub(super) fn pace(&self) -> Pace {
        Pace {
            per_second: self.events_per_second,
            burst: self.burst,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 1,000 names, the longest page of them, stay below 256 KiB even in four-byte
            // characters.
            nickname_chars: 64,
            // Two UUIDs and a word.
            room_chars: 128,
            rooms_per_client: 32,
            // The server sets it from its options.
            rooms_per_address: usize::MAX,
            // A notification, not a file: 100 times a track, and a room's history
            // still holds some of them.
            message_bytes: 64 * 1024,
            // Faster than people type and dashboards refresh.
            events_per_second: 20,
            // A page that was cut off joins all of its rooms again at once.
            burst: 64,
        }
    }
}

/// A named area of rooms with its own rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What clients connect to, as in `/metadata`.
    pub name: NamespaceName,
    /// What it is for, in one line; for people only.
    pub about: String,
    /// What its clients speak.
    pub protocol: Protocol,
    /// What clients of the room protocol may ask for; else empty.
    pub verbs: Vec<Verb>,
    /// Who may publish.
    pub publishers: Vec<Publisher>,
    /// Whether clients must be members of a room to publish in it.
    pub publish_from: PublishFrom,
    /// Which rooms there are.
    pub rooms: Rooms,
    /// Whether a client must give a nickname to join, else it gets a guest's.
    pub nickname_required: bool,
    /// The keys under which a room retains its latest event; empty: it doesn't.
    pub retain: Vec<String>,
    /// How many events a room keeps for clients that come back.
    pub history: usize,
    /// Whether rooms outlive a restart of the server.
    pub durable: bool,
    /// Whether clients see who else is there.
    pub presence: bool,
    /// How much one client may ask of it.
    pub limits: Limits,
    /// What backends publish with over HTTP; without one they can't.
    pub publish_token: Option<Token>,
    /// What the name is kept free for; such a namespace takes no clients.
    pub reserved: Option<String>,
}

impl Namespace {
    /// A namespace of the room protocol where clients may do everything.
    ///
    /// What a file leaves out is as it is here.
    pub fn new(name: NamespaceName) -> Self {
        Self {
            name,
            about: String::new(),
            protocol: Protocol::Room,
            verbs: Verb::ALL.to_vec(),
            publishers: vec![Publisher::Clients],
            publish_from: PublishFrom::Members,
            rooms: Rooms::Open,
            nickname_required: false,
            retain: Vec::new(),
            history: Self::HISTORY,
            durable: false,
            presence: true,
            limits: Limits::default(),
            publish_token: None,
            reserved: None,
        }
    }

    /// How many events a room keeps unless its namespace says otherwise.
    ///
    /// About five minutes of a lively room, and hours of a radio station.
    pub const HISTORY: usize = 100;
}

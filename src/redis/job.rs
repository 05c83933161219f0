//! What is to be done in Redis, one command each: what the hub wants, and what the node
//! needs itself. Knows no command (`ask` does), and not what becomes of the answer.

mod ask;

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::core::broker::{Done, Presence, Told};
use crate::core::durable::Contents;
use crate::core::error::Error;
use crate::core::event::{Kind, Offset, Publication, To};
use crate::core::name::RoomId;
use crate::core::presence::Page;
use crate::core::terms::Terms;
use crate::core::token::TokenHash;
pub(super) use ask::{Context, name_of};

/// How long a node is believed to be there since it last said so.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// One thing to do.
pub(super) enum Job {
    Publish(Box<Outgoing>),
    Enter(RoomId, Presence),
    Exit(Box<Leaving>),
    /// Tells all nodes that this one has dropped events of the room before they reached Redis.
    Lost(RoomId, Uuid),
    Clients(RoomId, Page, Vec<Told>),
    Terms(RoomId, Tell<Option<Terms>>),
    /// Asks how many rooms were created, for one more.
    Count(RoomId, Terms, Tell<()>),
    Create(RoomId, Terms, Tell<()>),
    /// Counts a room that was created, or deleted.
    Counted(RoomId, bool),
    Delete(RoomId, TokenHash, Tell<()>),
    /// The hub has opened the room.
    Follow(RoomId),
    Subscribe(RoomId),
    Unsubscribe(RoomId),
    /// Asks what the room has; all of it, or what is behind the place that the node has
    /// come to.
    Sync(RoomId, bool),
    /// Tells Redis what it has forgotten.
    Seed(RoomId, Offset, Contents),
    Renew(RoomId),
    /// Says who of this node is in the room, and whether nobody else is on the way.
    Refresh(RoomId, bool),
    /// Asks whether there is an answer.
    Ping,
    /// What the hub wants to know of whoever has a room to itself.
    Ask(RoomId, String, Tell<String>),
    /// The same with its number, on its way to all who may have the room.
    Question(RoomId, u64, String),
    /// What that node, of this name, is answered.
    Answer(String, String),
    /// Listens for answers.
    Listen,
}

pub(super) type Tell<T> = oneshot::Sender<Result<T, Error>>;

/// A publication on its way.
pub(super) struct Outgoing {
    pub(super) publication: Publication,
    /// Whether the clients of this node have heard it.
    pub(super) is_heard: bool,
    /// Whether Redis may have the event: the node sent it and got no answer.
    pub(super) may_be_done: bool,
    done: Option<Done>,
}

/// A client that has left a room.
pub(super) struct Leaving {
    pub(super) room: RoomId,
    pub(super) who: Presence,
    /// By what it is known again that it has left.
    pub(super) id: Uuid,
    /// Whether the clients of this node have heard it.
    pub(super) is_heard: bool,
}

impl Outgoing {
    pub(super) fn room(&self) -> RoomId {
        RoomId {
            namespace: self.publication.namespace.clone(),
            room: self.publication.room.clone(),
        }
    }

    /// The publisher is told that it is published.
    pub(super) fn succeed(&mut self, offset: Offset) {
        if let Some(done) = self.done.take() {
            done(Ok(offset));
        }
    }

    /// The publisher is told why not.
    pub(super) fn fail(mut self, error: Error) {
        if let Some(done) = self.done.take() {
            done(Err(error));
        }
    }

    /// The name of the peer that it is for.
    pub(super) fn peer(&self) -> String {
        match &self.publication.to {
            To::Peer(name) => name.to_string(),
            To::Everybody | To::These(_) => String::new(),
        }
    }

    /// What it takes while it waits, in bytes: an estimate.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.publication.message.get().len()
    }
}

impl Leaving {
    /// What says so to the others.
    pub(super) fn announcement(&self) -> Publication {
        announcement(&self.room, Kind::Left, &self.who, Some(self.id))
    }
}

/// What says that a peer of a lobby comes or goes.
pub(super) fn announcement(
    room: &RoomId,
    kind: Kind,
    who: &Presence,
    id: Option<Uuid>,
) -> Publication {
    Publication {
        namespace: room.namespace.clone(),
        room: room.room.clone(),
        kind,
        sender: who.name.clone(),
        to: To::Everybody,
        message: RawValue::NULL.to_owned(),
        origin: Some(who.key),
        retain: Vec::new(),
        token: None,
        id,
        same: None,
    }
}

impl Job {
    pub(super) fn publish(publication: Publication, done: Done) -> Self {
        Self::Publish(Box::new(Outgoing {
            publication,
            is_heard: false,
            may_be_done: false,
            done: Some(done),
        }))
    }

    /// A publication that the clients of this node have heard.
    pub(super) fn heard(publication: Publication) -> Self {
        Self::Publish(Box::new(Outgoing {
            publication,
            is_heard: true,
            may_be_done: false,
            done: None,
        }))
    }

    pub(super) fn exit(room: RoomId, who: Presence) -> Self {
        Self::Exit(Box::new(Leaving {
            room,
            who,
            id: Uuid::new_v4(),
            is_heard: false,
        }))
    }

    /// What it takes to be asked, in bytes: an estimate.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Publish(outgoing) => outgoing.weight(),
            Self::Seed(_, _, contents) => {
                let history = contents.history.iter();
                history.map(|event| event.weight()).sum()
            }
            // The names of the answer.
            Self::Clients(_, page, _) => page.limit() * 64,
            _ => size_of::<Self>(),
        }
    }

    /// What is to be published of it, in bytes.
    pub(super) fn published_bytes(&self) -> usize {
        match self {
            Self::Publish(outgoing) => outgoing.weight(),
            _ => 0,
        }
    }

    /// Whether somebody can be told that it is not done now.
    pub(super) fn can_be_refused(&self) -> bool {
        // Whether somebody can come in is asked before he does.
        !matches!(self, Self::Follow(_) | Self::Enter(..) | Self::Exit(_))
    }

    /// By what the event is known again that all nodes are to hear of.
    pub(super) fn event(&self) -> Option<Uuid> {
        match self {
            Self::Publish(outgoing) => outgoing.publication.id,
            Self::Exit(leaving) => Some(leaving.id),
            _ => None,
        }
    }

    /// The room that it is about, if it is about one.
    pub(super) fn room(&self) -> Option<RoomId> {
        match self {
            Self::Answer(..) | Self::Listen | Self::Ping => None,
            Self::Publish(outgoing) => Some(outgoing.room()),
            Self::Exit(leaving) => Some(leaving.room.clone()),
            Self::Enter(room, _)
            | Self::Clients(room, ..)
            | Self::Terms(room, _)
            | Self::Count(room, ..)
            | Self::Create(room, ..)
            | Self::Counted(room, _)
            | Self::Delete(room, ..)
            | Self::Follow(room)
            | Self::Subscribe(room)
            | Self::Unsubscribe(room)
            | Self::Sync(room, _)
            | Self::Seed(room, ..)
            | Self::Lost(room, _)
            | Self::Renew(room)
            | Self::Ask(room, ..)
            | Self::Question(room, ..)
            | Self::Refresh(room, ..) => Some(room.clone()),
        }
    }
}

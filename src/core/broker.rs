//! What carries publications between nodes, and what else the rooms of many nodes
//! need. Here: the memory broker of one node. Knows no rooms: every node gives what
//! arrives to `Hub::deliver`.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::client::ClientKey;
use super::error::Error;
use super::event::{Offset, Order, Publication};
use super::hub::Hub;
use super::name::{Nickname, RoomId};
use super::presence::{Clients, Page};
use super::terms::Terms;
use super::token::TokenHash;

/// Told how a publication ended, once: with the offset, or with the reason.
pub type Done = Box<dyn FnOnce(Result<Offset, Error>) + Send>;

/// Told who is in a room, once.
pub type Told = Box<dyn FnOnce(Result<Clients, Error>) + Send>;

/// Carries publications to every node of the cluster, this one included.
pub trait Broker: Send + Sync + 'static {
    /// Takes a publication that the hub has let pass; each node then delivers it.
    ///
    /// Never blocks; `done` may be called later and from another thread.
    fn publish(&self, hub: &Arc<Hub>, publication: Publication, done: Done);

    /// What `health` says of it.
    fn status(&self) -> BrokerStatus;

    /// What the rooms need that are on other nodes as well; none: they are not.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }
}

/// What the rooms of many nodes have in common: where they are, who is in them, and
/// which there are. No call blocks; what comes of it the hub is told, later and from
/// another task: whoever calls may hold a client's lock.
///
/// An event of a client of another node comes with no origin: keys are a node's own.
pub trait Cluster: Send + Sync {
    /// The room is there on this node from now on: [`Hub::load`] gets what it has,
    /// then [`Hub::deliver`] what comes behind that, in its order and once.
    ///
    /// Called again for the next room of that name; that one was given up nobody says:
    /// [`Hub::is_open`] does.
    fn follow(&self, room: RoomId);

    /// Whether so much is to be done that nobody can come into a room now.
    fn is_busy(&self) -> bool;

    /// A client of this node comes into a room; [`Hub::entered`] is told how that ended.
    fn enter(&self, room: RoomId, who: Presence);

    /// A client of this node has left a room.
    fn exit(&self, room: RoomId, who: Presence);

    /// Answers with a page of the clients in a room, on all nodes.
    fn clients(&self, room: RoomId, page: Page, told: Told);

    /// What was laid down for a room that was created; none: there is no such room.
    fn terms(&self, room: RoomId) -> BoxFuture<'static, Result<Option<Terms>, Error>>;

    /// Creates a room, on all nodes.
    fn create(&self, room: RoomId, terms: Terms) -> BoxFuture<'static, Result<(), Error>>;

    /// Asks the node whose client has this room to itself; [`Hub::answer`] is asked there.
    fn ask(&self, room: RoomId, question: String) -> BoxFuture<'static, Result<String, Error>>;

    /// Deletes the room that has this token, on all nodes.
    fn delete(&self, room: RoomId, token: TokenHash) -> BoxFuture<'static, Result<(), Error>>;
}

/// A client in a room, as other nodes see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Its number on its node.
    pub key: ClientKey,
    /// What it is called there.
    pub name: Nickname,
}

/// The state of a broker.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct BrokerStatus {
    /// `memory`, or the name of what connects the nodes.
    pub kind: &'static str,
    /// Whether events reach the other nodes.
    pub connected: bool,
}

/// The broker of a node that is alone.
#[derive(Debug, Default)]
pub struct Memory;

impl Broker for Memory {
    fn publish(&self, hub: &Arc<Hub>, publication: Publication, done: Done) {
        done(hub.deliver(publication, Order::Here));
    }

    fn status(&self) -> BrokerStatus {
        BrokerStatus {
            kind: "memory",
            connected: true,
        }
    }
}

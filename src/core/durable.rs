//! What outlives the process of a durable room, and who is told that it changed.
//! Knows no files: a store implements [`Keeper`], and asks the hub for the rest.

use std::sync::Arc;

use super::event::{Epoch, Event};
use super::name::{NamespaceName, RoomName};
use super::terms::Terms;

/// How many numbers a store reserves ahead for a room.
///
/// A write to a slow disk may take seconds: at a thousand events a second there
/// is still time. What is not used of it is left out after an unclean end.
pub const BLOCK: u64 = 10_000;

/// The store's side of durable rooms: the hub reports changes to it, and the store later asks the
/// hub for the contents. Its methods never call the hub, and the hub never calls them under the
/// lock of a room.
pub trait Keeper: Send + Sync + 'static {
    /// A publication begins. The room sends the event only after this has returned.
    fn begins(&self);

    /// A publication that began in this room has ended: the room has sent the event or refused it.
    fn published(&self, namespace: &NamespaceName, room: &RoomName);

    /// The room was created, or there is none of that name any more.
    fn changed(&self, namespace: &NamespaceName, room: &RoomName);
}

/// Who is to know which rooms of a namespace change.
pub(super) struct Keeping {
    namespace: NamespaceName,
    keeper: Arc<dyn Keeper>,
}

impl Keeping {
    pub(super) fn new(namespace: NamespaceName, keeper: Arc<dyn Keeper>) -> Self {
        Self { namespace, keeper }
    }

    /// Reports to the store that a publication begins in the room, and that it ends when the
    /// value is dropped.
    pub(super) fn publishing<'a>(&'a self, room: &'a RoomName) -> Publishing<'a> {
        self.keeper.begins();
        Publishing {
            keeping: self,
            room,
        }
    }

    pub(super) fn changed(&self, room: &RoomName) {
        self.keeper.changed(&self.namespace, room);
    }
}

/// A publication in progress.
pub(super) struct Publishing<'a> {
    keeping: &'a Keeping,
    room: &'a RoomName,
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        let Keeping { namespace, keeper } = self.keeping;
        keeper.published(namespace, self.room);
    }
}

/// Nothing outlives the process.
#[derive(Debug, Default)]
pub struct Forgetful;

impl Keeper for Forgetful {
    fn begins(&self) {}

    fn published(&self, _: &NamespaceName, _: &RoomName) {}

    fn changed(&self, _: &NamespaceName, _: &RoomName) {}
}

/// A durable room, as a store writes it and gives it back.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The namespace of the room.
    pub namespace: NamespaceName,
    /// The room.
    pub room: RoomName,
    /// Which life of the room it is.
    pub epoch: Epoch,
    /// Its last number.
    pub head: u64,
    /// No number from here on may be given in this epoch, unless a store has
    /// written down that more are reserved ([`super::hub::Hub::reserved`]).
    pub limit: u64,
    /// What was laid down when it was created, if it was.
    pub terms: Option<Terms>,
    /// What it keeps.
    pub contents: Contents,
}

/// What a room keeps for those who come later.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// All events behind this number are in the history, but for what a hole has.
    pub floor: u64,
    /// Below this number something was given out that nobody has any more; 0 where
    /// nothing was lost.
    pub hole: u64,
    /// The history, oldest first.
    pub history: Vec<Arc<Event>>,
    /// The retained events by their keys.
    pub retained: Vec<(String, Arc<Event>)>,
}

//! What the broker has to know of each namespace, as its scripts take it. Knows no room.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::event::{Publication, To};
use crate::core::hub::Hub;
use crate::core::name::NamespaceName;
use crate::core::namespace::{Namespace, Protocol, Rooms};
use crate::core::room::PEERS_MOST;

/// How many events the stream of a room has at least, also where fewer are kept for
/// clients: so many may be missed by a node that is cut off, and be asked for.
pub(super) const STREAM_LEAST: usize = 256;

/// How long a room is remembered that nobody uses any more, where it does not outlive
/// its users: as long as a client may be away and still go on where it was. Who comes and
/// goes in ever new rooms fills Redis for no longer.
const ROOM_LASTS: Duration = Duration::from_secs(60 * 60);

/// What the scripts are told of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) is_lobby: bool,
    /// What a room has to be for anything to be done in it.
    pub(super) need: Need,
    /// How many events a room keeps for clients.
    pub(super) history: usize,
    retain: Vec<String>,
    is_durable: bool,
}

/// What a room has to be for anything to be done in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Anything.
    Nothing,
    /// Created.
    Created,
    /// That of a client.
    Own,
}

impl Rules {
    /// Of each namespace that is served.
    pub(super) fn of_all(hub: &Hub) -> BTreeMap<NamespaceName, Self> {
        let served = hub.namespaces().filter(|n| n.reserved.is_none());
        served.map(|n| (n.name.clone(), Self::of(n))).collect()
    }

    fn of(namespace: &Namespace) -> Self {
        Self {
            is_lobby: namespace.protocol == Protocol::Lobby,
            need: match namespace.rooms {
                Rooms::Created => Need::Created,
                Rooms::Own => Need::Own,
                Rooms::Open | Rooms::Fixed(_) => Need::Nothing,
            },
            history: namespace.history,
            retain: namespace.retain.clone(),
            is_durable: namespace.durable,
        }
    }

    /// How many events the stream of a room has.
    pub(super) fn cap(&self) -> usize {
        self.history.max(STREAM_LEAST)
    }

    /// For how many milliseconds a room is remembered that nobody uses; 0: for good.
    pub(super) fn lasts(&self) -> u64 {
        match self.is_durable || self.need == Need::Created {
            true => 0,
            false => ROOM_LASTS.as_millis() as u64,
        }
    }

    /// What a room has to be for a client to come into it.
    pub(super) fn need_to_enter(&self) -> &'static str {
        match self.need {
            // It is his by that.
            Need::Own => Need::Nothing.as_str(),
            need => need.as_str(),
        }
    }

    /// How many may be in a room; 0: it is not counted.
    pub(super) fn most(&self) -> usize {
        match self.is_lobby {
            true => PEERS_MOST,
            false => 0,
        }
    }

    /// Under which keys a room retains a publication.
    pub(super) fn retained_as<'a>(
        &'a self,
        publication: &'a Publication,
    ) -> impl Iterator<Item = &'a str> {
        publication.retained_as(&self.retain)
    }
}

impl Need {
    /// The scripts' word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Created => "created",
            Self::Own => "own",
        }
    }
}

/// Whether a publication has a place among the events of its room.
pub(super) fn has_place(publication: &Publication) -> bool {
    publication.to == To::Everybody
}

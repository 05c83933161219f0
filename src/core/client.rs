//! One connection to one namespace: its ids, its rooms, its rate, its outlet.
//! Knows no protocol; the door that made it holds it and calls the hub with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{debug, info};
use uuid::Uuid;

use super::area::Area;
use super::name::{Nickname, RoomName};
use super::outlet::{CloseReason, Outlet};
use super::panics::catch;
use super::room::Room;
use super::source::ClientOrigin;

/// A client's number within this process; never shown to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(pub(super) u64);

impl ClientKey {
    /// The number, for other nodes: with the name of this one it is nobody else's.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Takes back what [`ClientKey::number`] gave.
    pub fn of(number: u64) -> Self {
        Self(number)
    }
}

/// A client's public id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Uuid);

impl ClientId {
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// What a client is called that gave no name.
    pub fn guest_name(self) -> Nickname {
        let id = self.0.simple().to_string();
        Nickname::parse(&format!("guest-{}", &id[..8])).expect("a guest name is a nickname")
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One connection to one namespace.
pub struct Client {
    id: ClientId,
    key: ClientKey,
    outlet: Arc<dyn Outlet>,
    closed: AtomicBool,
    pub(super) area: Arc<Area>,
    pub(super) origin: ClientOrigin,
    /// Guards what the client is in; held while it joins or leaves, never while
    /// anything is delivered.
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) rooms: HashMap<RoomName, Arc<Room>>,
    /// The name of its last JOIN, in namespaces whose clients may publish without joining.
    pub(super) last_name: Option<Nickname>,
    pub(super) gone: bool,
}

impl Client {
    pub(super) fn new(
        key: ClientKey,
        area: Arc<Area>,
        outlet: Arc<dyn Outlet>,
        origin: ClientOrigin,
    ) -> Self {
        Self {
            id: ClientId::random(),
            key,
            outlet,
            closed: AtomicBool::new(false),
            area,
            origin,
            state: Mutex::new(State {
                rooms: HashMap::new(),
                last_name: None,
                gone: false,
            }),
        }
    }

    /// The public id.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The number within this process.
    pub fn key(&self) -> ClientKey {
        self.key
    }

    /// A room that it is in; where it can be in one only, that one.
    pub fn room(&self) -> Option<RoomName> {
        self.lock().rooms.keys().next().cloned()
    }

    /// The moment before which its transport must not read the client, if it has sent too fast.
    pub fn ready_at(&self) -> Option<Instant> {
        self.origin.budget.ready_at()
    }

    /// The client's name as a publisher in a room that it has not joined: that of its last JOIN.
    pub(super) fn last_name(&self) -> Nickname {
        self.lock().last_name.clone().unwrap_or_else(unknown)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }

    /// Takes note that a room it was in was deleted, unless it is in another one of
    /// that name meanwhile.
    pub(super) fn loses(&self, room: &Arc<Room>) {
        let lost = {
            let mut state = self.lock();
            let is_in = state.rooms.get(&room.name);
            if !is_in.is_some_and(|known| Arc::ptr_eq(known, room)) {
                return;
            }
            state.rooms.remove(&room.name);
            // Under the lock: who joins the next one of that name comes behind it.
            calls_sink(|| self.outlet.lost(&room.name))
        };
        if let Err(reason) = lost {
            self.close(reason);
        }
    }

    /// Takes note that it did not get into a room, unless it was in it before or is on
    /// its way again.
    pub(super) fn is_not_in(&self, room: &RoomName) {
        let mut state = self.lock();
        let known = state.rooms.get(room);
        if known.is_some_and(|known| known.name_of(self.key).is_none()) {
            state.rooms.remove(room);
        }
    }

    pub(super) fn outlet(&self) -> &Arc<dyn Outlet> {
        &self.outlet
    }

    /// Whether it was told to go; it may take its time.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Closes the outlet, once.
    pub(super) fn close(&self, reason: CloseReason) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        let namespace = self.area.spec.name.to_string();
        metrics::counter!("roomcast_clients_closed_total", "namespace" => namespace, "reason" => reason.code())
            .increment(1);
        match reason {
            CloseReason::TooSlow
            | CloseReason::TooFast
            | CloseReason::TooBig
            | CloseReason::Behind
            | CloseReason::Undeliverable
            | CloseReason::Failed => {
                info!(client = %self.id, namespace = %self.area.spec.name, "closed: {reason}")
            }
            CloseReason::Gone | CloseReason::RoomDeleted | CloseReason::Stopping => {
                debug!(client = %self.id, namespace = %self.area.spec.name, "closed: {reason}")
            }
        }
        catch(SINK, || self.outlet.close(reason));
    }
}

/// The part of the server that a panic in a sink is counted for.
pub(super) const SINK: &str = "sink";

/// Calls a client's sink. If the sink panics, returns the reason to close this client.
pub(super) fn calls_sink(
    call: impl FnOnce() -> Result<(), CloseReason>,
) -> Result<(), CloseReason> {
    catch(SINK, call).unwrap_or(Err(CloseReason::Failed))
}

/// The name of a publisher that has never joined a room, as in the 2-IMMERSE websocket-service.
fn unknown() -> Nickname {
    Nickname::parse("unknown").expect("the word is a nickname")
}

//! One connection to one namespace: its ids, its rooms, its rate, its outlet.
//! Knows no protocol; the door that made it holds it and calls the hub with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::Serialize;
use tokio::time::Instant;
use tracing::{debug, info};
use uuid::Uuid;

use super::area::Area;
use super::name::{Nickname, RoomName};
use super::namespace::Limits;
use super::outlet::{CloseReason, Outlet};
use super::room::Room;

/// A client's number within this process; never shown to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(pub(super) u64);

/// A client's public id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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
    /// Guards what the client is in and how much it may send; held while it
    /// joins or leaves, never while anything is delivered.
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) rooms: HashMap<RoomName, Arc<Room>>,
    pub(super) gone: bool,
    bucket: Bucket,
}

impl Client {
    pub(super) fn new(key: ClientKey, area: Arc<Area>, outlet: Arc<dyn Outlet>) -> Self {
        let bucket = Bucket::full(&area.spec.limits);
        Self {
            id: ClientId::random(),
            key,
            outlet,
            closed: AtomicBool::new(false),
            area,
            state: Mutex::new(State {
                rooms: HashMap::new(),
                gone: false,
                bucket,
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
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
            CloseReason::TooSlow | CloseReason::TooFast | CloseReason::TooBig => {
                info!(client = %self.id, namespace = %self.area.spec.name, "closed: {reason}")
            }
            CloseReason::Gone | CloseReason::Stopping => {
                debug!(client = %self.id, namespace = %self.area.spec.name, "closed: {reason}")
            }
        }
        self.outlet.close(reason);
    }
}

impl State {
    /// Whether the client may send another event now.
    pub(super) fn may_send(&mut self, limits: &Limits) -> bool {
        self.bucket.take(limits)
    }
}

/// A token bucket: refilled at the allowed rate, holding one burst at most.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn full(limits: &Limits) -> Self {
        Self {
            tokens: f64::from(limits.burst),
            filled: Instant::now(),
        }
    }

    fn take(&mut self, limits: &Limits) -> bool {
        let now = Instant::now();
        let gained = (now - self.filled).as_secs_f64() * f64::from(limits.events_per_second);
        self.filled = now;
        self.tokens = (self.tokens + gained).min(f64::from(limits.burst));
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

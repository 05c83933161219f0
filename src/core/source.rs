//! The origin of a client, for limits. Knows no address: the maker of a key decides which
//! clients share it, and which have none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{Bucket, Pace};

/// The key of a client address: all clients of the address share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u64);

/// How often a peer may join or leave a lobby: each join or leave sends a frame to every
/// other peer. A peer that reloads its page joins once.
const MEMBERSHIP: Pace = Pace {
    per_second: 1,
    burst: 10,
};

/// What a client may still send. A transport that recognises a returning client passes the
/// same budget to each of its connections to the namespace.
///
/// A client may overdraw its budget: the hub handles every message that was read, and the
/// transport does not read the next one before [`SendBudget::ready_at`]. A client above its rate
/// is slowed down, and nothing that it sends is lost.
#[derive(Default)]
pub struct SendBudget(Mutex<Buckets>);

/// Empty until first used: the namespace knows the pace.
#[derive(Default)]
struct Buckets {
    events: Option<Bucket>,
    /// Boxed: only the peers of lobbies have one.
    membership: Option<Box<Bucket>>,
}

impl Buckets {
    fn charge(&mut self, charge: Charge) -> &mut Bucket {
        let Charge { kind, pace, cost } = charge;
        let bucket = match kind {
            ChargeKind::Event => self.events.get_or_insert_with(|| Bucket::full(pace)),
            ChargeKind::Membership => self
                .membership
                .get_or_insert_with(|| Box::new(Bucket::full(pace))),
        };
        bucket.charge(pace, cost);
        bucket
    }
}

/// The cost of a client's message, and the budget that it is taken from.
#[derive(Clone, Copy)]
pub(super) struct Charge {
    kind: ChargeKind,
    pace: Pace,
    cost: u32,
}

#[derive(Clone, Copy)]
enum ChargeKind {
    Event,
    Membership,
}

impl Charge {
    /// The cost of this many events, at the pace of the namespace.
    pub(super) fn events(pace: Pace, cost: u32) -> Self {
        let kind = ChargeKind::Event;
        Self { kind, pace, cost }
    }

    /// The cost of joining or leaving a lobby.
    pub(super) fn membership() -> Self {
        Self {
            kind: ChargeKind::Membership,
            pace: MEMBERSHIP,
            cost: 1,
        }
    }
}

impl SendBudget {
    /// Takes the cost of a message. `address_ready` is the moment from which the clients of
    /// the address may send again.
    pub(super) fn charge(&self, charge: Charge, address_ready: Option<Instant>) {
        let mut buckets = self.lock();
        let bucket = buckets.charge(charge);
        let now = Instant::now();
        if let Some(ready) = address_ready.filter(|ready| *ready > now) {
            bucket.hold_until(ready);
        }
    }

    /// Makes the client pause for this long.
    pub(super) fn hold(&self, pace: Pace, pause: Duration) {
        let mut buckets = self.lock();
        let events = buckets.events.get_or_insert_with(|| Bucket::full(pace));
        events.hold_until(Instant::now() + pause);
    }

    /// The moment before which the transport must not read the client, if it has sent too fast.
    pub fn ready_at(&self) -> Option<Instant> {
        let buckets = self.lock();
        let events = buckets.events.as_ref().map(Bucket::ready_at);
        let membership = buckets.membership.as_ref().map(|bucket| bucket.ready_at());
        let ready = events.max(membership)?;
        (ready > Instant::now()).then_some(ready)
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().expect("no code panics under this lock")
    }
}

/// How many clients of one address may send at once as fast as each of them may. Beyond, they
/// share the budget: so a client gains nothing by opening session after session.
const SENDERS_PER_SOURCE: u32 = 50;

/// The longest pause of a client because of other clients of its address: they may be strangers
/// behind the same proxy.
const ADDRESS_PAUSE_MOST: Duration = Duration::from_secs(10);

/// How many addresses are remembered in a namespace: those that sent within the last seconds.
const SOURCES_MOST: usize = 10_000;

/// What the clients of each address may still send in a namespace together.
#[derive(Default)]
pub(super) struct SourceBudgets(Mutex<HashMap<SourceKey, Buckets>>);

impl SourceBudgets {
    /// Charges all clients of the address together, as [`SendBudget::charge`] does one client;
    /// returns the moment from which they may send again. Clients that overdraw the budget
    /// together wait one after the other.
    pub(super) fn charge(&self, source: SourceKey, charge: Charge) -> Instant {
        let mut sources = self.0.lock().expect("no code panics under this lock");
        if sources.len() >= SOURCES_MOST && !sources.contains_key(&source) {
            // Budgets are full again after a few seconds: little is forgotten.
            sources.clear();
        }
        let shared = Charge {
            pace: charge.pace.times(SENDERS_PER_SOURCE),
            ..charge
        };
        let bucket = sources.entry(source).or_default().charge(shared);
        // Otherwise a burst would slow the address down long after its sender has left.
        bucket.ready_by(Instant::now() + ADDRESS_PAUSE_MOST);
        bucket.ready_at()
    }
}

/// The address key and the send budget of a client.
#[derive(Clone, Default)]
pub struct ClientOrigin {
    /// The address whose limits the client counts against; `None`: no limits.
    pub source: Option<SourceKey>,
    /// Its send budget; a new one for a new client.
    pub budget: Arc<SendBudget>,
}

impl From<Option<SourceKey>> for ClientOrigin {
    /// A new client, with a full budget.
    fn from(source: Option<SourceKey>) -> Self {
        let budget = Arc::default();
        Self { source, budget }
    }
}

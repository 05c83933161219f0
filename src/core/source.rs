//! The origin of a client, for limits. Knows no address: the maker of a key decides which
//! clients share it, and which have none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::pace::{Bucket, Pace};

/// The key of a client address: all clients of the address share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u64);

/// How often a peer may join or leave a lobby: each join or leave sends a frame to every
/// other peer. A peer that reloads its page joins once.
pub(super) const MEMBERSHIP: Pace = Pace {
    per_second: 1,
    burst: 10,
};

/// What a client may still send. A transport that recognises a returning client passes the
/// same budget to each of its connections to the namespace.
#[derive(Default)]
pub struct SendBudget(Mutex<Buckets>);

/// Empty until first used: the namespace knows the pace.
#[derive(Default)]
struct Buckets {
    events: Option<Bucket>,
    /// Boxed: only the peers of lobbies have one.
    membership: Option<Box<Bucket>>,
}

impl SendBudget {
    /// Takes the cost of an event; returns false if the budget does not suffice.
    pub(super) fn take_event(&self, pace: Pace, cost: u32) -> bool {
        let mut buckets = self.lock();
        let events = buckets.events.get_or_insert_with(|| Bucket::full(pace));
        events.take_many(pace, cost)
    }

    /// Takes one join or leave of a lobby; returns false if the budget is used up.
    pub(super) fn take_membership(&self) -> bool {
        let mut buckets = self.lock();
        let full = || Box::new(Bucket::full(MEMBERSHIP));
        buckets.membership.get_or_insert_with(full).take(MEMBERSHIP)
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().expect("no code panics under this lock")
    }
}

/// How many clients of one address may send at once as fast as each of them may. Beyond, they
/// share the budget: so a client gains nothing by opening session after session.
const SENDERS_PER_SOURCE: u32 = 50;

/// How many addresses are remembered in a namespace: those that sent within the last seconds.
const SOURCES_MOST: usize = 10_000;

/// What the clients of each address may still send in a namespace together.
#[derive(Default)]
pub(super) struct SourceBudgets(Mutex<HashMap<SourceKey, Buckets>>);

impl SourceBudgets {
    /// As [`SendBudget::take_event`], for all clients of the address.
    pub(super) fn take_event(&self, source: SourceKey, pace: Pace, cost: u32) -> bool {
        let pace = pace.times(SENDERS_PER_SOURCE);
        self.with(source, |buckets| {
            let events = buckets.events.get_or_insert_with(|| Bucket::full(pace));
            events.take_many(pace, cost)
        })
    }

    /// As [`SendBudget::take_membership`], for all clients of the address.
    pub(super) fn take_membership(&self, source: SourceKey) -> bool {
        let pace = MEMBERSHIP.times(SENDERS_PER_SOURCE);
        self.with(source, |buckets| {
            let full = || Box::new(Bucket::full(pace));
            buckets.membership.get_or_insert_with(full).take(pace)
        })
    }

    fn with<T>(&self, source: SourceKey, take: impl FnOnce(&mut Buckets) -> T) -> T {
        let mut sources = self.0.lock().expect("no code panics under this lock");
        if sources.len() >= SOURCES_MOST && !sources.contains_key(&source) {
            // Budgets are full again after a few seconds: little is forgotten.
            sources.clear();
        }
        take(sources.entry(source).or_default())
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

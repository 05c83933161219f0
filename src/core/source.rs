//! Where a client comes from, as far as limits are concerned. Knows no address: whoever
//! makes a key has decided which clients share it, and which have none.

use std::sync::{Arc, Mutex, MutexGuard};

use super::pace::{Bucket, Pace};

/// What all clients of one address have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u128);

/// How often a peer may join or leave a lobby: each time costs every other peer a
/// frame. A peer whose page is reloaded joins once.
pub(super) const MEMBERSHIP: Pace = Pace {
    per_second: 1,
    burst: 10,
};

/// What a client may still send: to be kept by whoever knows that a client is the same
/// one again, and given to each of its connections to the namespace.
#[derive(Default)]
pub struct SendBudget(Mutex<Buckets>);

/// Empty until first used: the namespace knows the pace.
#[derive(Default)]
struct Buckets {
    events: Option<Bucket>,
    membership: Option<Bucket>,
}

impl SendBudget {
    /// Takes what an event costs; false if there is not enough left.
    pub(super) fn take_event(&self, pace: Pace, cost: u32) -> bool {
        let mut buckets = self.lock();
        let events = buckets.events.get_or_insert_with(|| Bucket::full(pace));
        events.take_many(pace, cost)
    }

    /// Takes one join or leave of a lobby; false if there is none left.
    pub(super) fn take_membership(&self) -> bool {
        let mut buckets = self.lock();
        let full = || Bucket::full(MEMBERSHIP);
        buckets.membership.get_or_insert_with(full).take(MEMBERSHIP)
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().expect("no code panics under this lock")
    }
}

/// Where a client comes from, and what it may still send.
#[derive(Clone, Default)]
pub struct ClientOrigin {
    /// Whose limits it counts against; none: nobody's.
    pub source: Option<SourceKey>,
    /// What it may still send; a new one for a client that is not known yet.
    pub budget: Arc<SendBudget>,
}

impl From<Option<SourceKey>> for ClientOrigin {
    /// A client that is not known yet.
    fn from(source: Option<SourceKey>) -> Self {
        let budget = Arc::default();
        Self { source, budget }
    }
}

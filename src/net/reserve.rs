//! Reserved connections: health probes and publishers get through when clients have filled
//! the server. Knows which connections have sent a request, not the requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;

use super::socket::Kill;

/// Reserved connections per listener that has a reserve. A probe takes milliseconds; so
/// many publishers at once are rare.
pub(super) const RESERVED: usize = 64;

/// Time for a request's head on a reserved connection.
pub(super) const HEADER: Duration = Duration::from_secs(2);

/// Whether a request is served on a reserved connection, by method and path.
pub type Essential = fn(&Method, &str) -> bool;

/// The open reserved connections of one listener, oldest first.
#[derive(Clone, Default)]
pub(super) struct Reserve(Arc<Mutex<VecDeque<Entry>>>);

struct Entry {
    kill: Kill,
    busy: Arc<AtomicBool>,
}

/// A connection's place in the reserve, released when this is dropped.
#[derive(Clone)]
pub(super) struct Reserved {
    busy: Arc<AtomicBool>,
    _guard: Arc<Guard>,
}

struct Guard {
    reserve: Reserve,
    busy: Arc<AtomicBool>,
}

impl Reserve {
    /// Admits a connection. If the reserve is full, closes the oldest connection that has sent
    /// no request, or else the oldest: a peer that only connects must not keep others out.
    pub(super) fn admit(&self, kill: Kill) -> Reserved {
        let busy = Arc::new(AtomicBool::new(false));
        let mut entries = self.lock();
        let cut = (entries.len() >= RESERVED).then(|| {
            let idle = entries.iter().position(|e| !e.busy.load(Ordering::Acquire));
            entries.remove(idle.unwrap_or_default())
        });
        entries.push_back(Entry {
            kill,
            busy: busy.clone(),
        });
        drop(entries);
        if let Some(entry) = cut.flatten() {
            entry.kill.kill();
        }
        let guard = Guard {
            reserve: self.clone(),
            busy: busy.clone(),
        };
        Reserved {
            busy,
            _guard: Arc::new(guard),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// Notes that the connection has sent a request.
    pub(super) fn is_at_work(&self) {
        self.busy.store(true, Ordering::Release);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut entries = self.reserve.lock();
        entries.retain(|entry| !Arc::ptr_eq(&entry.busy, &self.busy));
    }
}

//! The memory for POST bodies of polling clients, shared by all sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::core::source::SourceKey;
use crate::doors::BODY_MOST;

/// The most bytes of large bodies that the server holds at once: two of the largest, and many of
/// the usual size. A server with 256 MiB of memory can spare them.
const ALL_MOST: usize = 24 << 20;

/// The largest body that needs no reservation, in bytes: the POSTs of normal clients are smaller,
/// and never wait for large ones. Each session has one POST at a time.
const SMALL: usize = 16 << 10;

/// The most bytes of large bodies of one address: one of the largest. The server holds a body for
/// as long as it slows down the client, and keeps the other half for other addresses.
const ADDRESS_MOST: usize = ALL_MOST / 2;

/// The memory that is free for large bodies.
#[derive(Clone)]
pub(super) struct BodyMemory(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    /// Guards the free memory of each address that uses some.
    addresses: Mutex<HashMap<SourceKey, Arc<Semaphore>>>,
}

/// The memory of one body, until this is dropped.
pub(super) struct Reservation {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<OwnedSemaphorePermit>,
}

/// Other large bodies held all memory for as long as a body may take.
#[derive(Debug)]
pub(super) struct NoMemory;

impl Default for BodyMemory {
    fn default() -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(ALL_MOST)),
            addresses: Mutex::default(),
        }))
    }
}

impl BodyMemory {
    /// Reserves memory for a body of this many bytes. Waits while other bodies hold it, in the
    /// order of arrival; meanwhile the body is not read.
    ///
    /// # Errors
    /// No memory was free within [`BODY_MOST`].
    pub(super) async fn reserve(
        &self,
        source: Option<SourceKey>,
        bytes: u64,
    ) -> Result<Option<Reservation>, NoMemory> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes <= SMALL {
            return Ok(None);
        }
        let permits = u32::try_from(bytes.min(ADDRESS_MOST)).expect("it is less than 4 GiB");
        let of_address = source.map(|source| self.of_address(source));
        let reserved = async {
            let of_address = match of_address {
                Some(memory) => Some(memory.acquire_many_owned(permits).await?),
                None => None,
            };
            let of_all = self.0.all.clone().acquire_many_owned(permits).await?;
            Ok::<_, AcquireError>(Reservation {
                _of_all: of_all,
                _of_address: of_address,
            })
        };
        match timeout(BODY_MOST, reserved).await {
            Ok(Ok(reservation)) => Ok(Some(reservation)),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(NoMemory),
        }
    }

    fn of_address(&self, source: SourceKey) -> Arc<Semaphore> {
        let mut addresses = self.0.addresses.lock();
        let addresses = addresses.as_mut().expect("no code panics under this lock");
        // Permits and waiting bodies hold a clone: there are no more than sessions.
        addresses.retain(|_, memory| Arc::strong_count(memory) > 1);
        let memory = addresses.entry(source);
        let memory = memory.or_insert_with(|| Arc::new(Semaphore::new(ADDRESS_MOST)));
        memory.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = ALL_MOST as u64;
    const SMALL: u64 = super::SMALL as u64;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_memory_and_small_ones_do_not() {
        let memory = BodyMemory::default();
        let half = memory.reserve(None, ALL / 2).await.unwrap();
        let other_half = memory.reserve(None, ALL / 2).await.unwrap();
        assert!(memory.reserve(None, SMALL).await.unwrap().is_none());
        assert!(memory.reserve(None, SMALL + 1).await.is_err());
        let waits = tokio::spawn({
            let memory = memory.clone();
            // A body that is larger than the memory reserves all of it.
            async move { memory.reserve(None, u64::MAX).await }
        });
        tokio::task::yield_now().await;
        drop(half);
        assert!(waits.await.unwrap().unwrap().is_some());
        drop(other_half);
        assert!(memory.reserve(None, SMALL + 1).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_memory_for_the_others() {
        let memory = BodyMemory::default();
        let [one, another] = [1, 2].map(|key| Some(SourceKey(key)));
        let held = memory.reserve(one, ALL).await.unwrap();
        assert!(memory.reserve(one, SMALL + 1).await.is_err());
        assert!(memory.reserve(another, ALL).await.unwrap().is_some());
        drop(held);
        assert!(memory.reserve(one, SMALL + 1).await.unwrap().is_some());
        assert_eq!(memory.0.addresses.lock().unwrap().len(), 1);
    }
}

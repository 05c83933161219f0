//! The memory for large messages and bodies of clients: shared by all, and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::core::source::SourceKey;

/// The memory that is left for something large of all clients. Clones share it.
#[derive(Clone, Debug)]
pub struct LargeMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The most bytes that one address holds: half of all, so that some is left for others.
    address_most: usize,
    all: Arc<Semaphore>,
    /// Guards the memory that is left for each address that uses some.
    addresses: Mutex<HashMap<SourceKey, Arc<Semaphore>>>,
}

/// Reserved memory, until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<OwnedSemaphorePermit>,
}

/// Others hold all the memory.
#[derive(Debug)]
pub struct NoMemory;

impl LargeMemory {
    /// Memory of this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Inner {
            address_most: bytes / 2,
            all: Arc::new(Semaphore::new(bytes)),
            addresses: Mutex::default(),
        }))
    }

    /// Reserves so many bytes for a client of this address, if they are there now. More than
    /// half of all counts as half.
    pub fn try_reserve(&self, source: Option<SourceKey>, bytes: usize) -> Option<Reservation> {
        let permits = self.permits(bytes);
        let of_address = match source {
            Some(source) => Some(
                self.of_address(source)
                    .try_acquire_many_owned(permits)
                    .ok()?,
            ),
            None => None,
        };
        Some(Reservation {
            _of_all: self.0.all.clone().try_acquire_many_owned(permits).ok()?,
            _of_address: of_address,
        })
    }

    /// As [`LargeMemory::try_reserve`], but waits while others hold the memory, in the order of
    /// arrival.
    ///
    /// # Errors
    /// There is no memory within `patience`.
    pub async fn reserve(
        &self,
        source: Option<SourceKey>,
        bytes: usize,
        patience: Duration,
    ) -> Result<Reservation, NoMemory> {
        let permits = self.permits(bytes);
        let of_address = source.map(|source| self.of_address(source));
        let reserved = async {
            let of_address = match of_address {
                Some(memory) => Some(memory.acquire_many_owned(permits).await?),
                None => None,
            };
            Ok::<_, AcquireError>(Reservation {
                _of_all: self.0.all.clone().acquire_many_owned(permits).await?,
                _of_address: of_address,
            })
        };
        match timeout(patience, reserved).await {
            Ok(Ok(reservation)) => Ok(reservation),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(NoMemory),
        }
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.0.address_most)).unwrap_or(u32::MAX)
    }

    fn of_address(&self, source: SourceKey) -> Arc<Semaphore> {
        let mut addresses = self.0.addresses.lock();
        let addresses = addresses.as_mut().expect("no code panics under this lock");
        // Reservations and waiting clients hold a clone, so there are no more than clients.
        addresses.retain(|_, memory| Arc::strong_count(memory) > 1);
        let memory = addresses.entry(source);
        let memory = memory.or_insert_with(|| Arc::new(Semaphore::new(self.0.address_most)));
        memory.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = 1_000;
    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn clients_wait_for_memory() {
        let memory = LargeMemory::new(ALL);
        let half = memory.try_reserve(None, ALL / 2).unwrap();
        let other_half = memory.try_reserve(None, ALL / 2).unwrap();
        assert!(memory.try_reserve(None, 1).is_none());
        assert!(memory.reserve(None, 1, PATIENCE).await.is_err());
        let waits = tokio::spawn({
            let memory = memory.clone();
            // More than there is for one client: as much as there is.
            async move { memory.reserve(None, usize::MAX, PATIENCE).await }
        });
        tokio::task::yield_now().await;
        drop(half);
        let reserved = waits.await.unwrap().unwrap();
        assert!(memory.try_reserve(None, 1).is_none());
        drop((reserved, other_half));
        assert!(memory.try_reserve(None, 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_memory_for_the_others() {
        let memory = LargeMemory::new(ALL);
        let [one, another] = [1, 2].map(|key| Some(SourceKey(key)));
        let held = memory.try_reserve(one, ALL).unwrap();
        assert!(memory.try_reserve(one, 1).is_none());
        assert!(memory.reserve(one, 1, PATIENCE).await.is_err());
        assert!(memory.try_reserve(another, ALL).is_some());
        drop(held);
        assert!(memory.try_reserve(one, 1).is_some());
        assert_eq!(memory.0.addresses.lock().unwrap().len(), 1);
    }
}

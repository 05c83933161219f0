//! The memory for POST bodies of polling clients, shared by all sessions.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::doors::BODY_MOST;

/// The most bytes of large bodies that are held at once: two of the largest and many of the
/// usual size. A server that has 256 MiB can spare them, whatever clients send.
const ALL_MOST: usize = 24 << 20;

/// A body up to this size needs no reservation: the POSTs of clients in normal use, which
/// never wait for large ones. Each session has one POST at a time.
const SMALL: usize = 16 << 10;

/// The memory that is left for large bodies.
#[derive(Clone)]
pub(super) struct BodyMemory(Arc<Semaphore>);

/// Other large bodies took all memory for as long as a body may take.
#[derive(Debug)]
pub(super) struct NoMemory;

impl Default for BodyMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_MOST)))
    }
}

impl BodyMemory {
    /// Reserves memory for a body of this many bytes, until the permit is dropped. Waits while
    /// other bodies hold it, in the order of arrival: the client's data waits in its kernel.
    ///
    /// # Errors
    /// There is no memory after [`BODY_MOST`].
    pub(super) async fn reserve(
        &self,
        bytes: u64,
    ) -> Result<Option<OwnedSemaphorePermit>, NoMemory> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(ALL_MOST);
        if bytes <= SMALL {
            return Ok(None);
        }
        let permits = u32::try_from(bytes).expect("ALL_MOST is less than 4 GiB");
        match timeout(BODY_MOST, self.0.clone().acquire_many_owned(permits)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(NoMemory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_memory_and_small_ones_do_not() {
        let memory = BodyMemory::default();
        let all = memory.reserve(ALL_MOST as u64).await.unwrap();
        assert!(memory.reserve(SMALL as u64).await.unwrap().is_none());
        assert!(memory.reserve(SMALL as u64 + 1).await.is_err());
        let waits = tokio::spawn({
            let memory = memory.clone();
            // More than there is: as much as there is.
            async move { memory.reserve(u64::MAX).await }
        });
        tokio::task::yield_now().await;
        drop(all);
        assert!(waits.await.unwrap().unwrap().is_some());
        assert!(memory.reserve(SMALL as u64 + 1).await.unwrap().is_some());
    }
}

//! Who waits until what has changed is on disk: for those few answers that must not
//! be given before. Knows how far the writer is, and nothing of what it writes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Store;

/// The longest that anybody waits for the disk: a slow card takes a second, and
/// whoever waits behind us for the answer gives up after a few.
const WAIT_MOST: Duration = Duration::from_secs(2);

/// Up to which change the disk was tried, by the number that the change has.
pub(super) type Tried = watch::Sender<u64>;

impl Store {
    /// Waits until all that has changed up to now is on disk.
    ///
    /// No longer than two seconds, and not at all for a disk that refuses or hangs:
    /// then all goes on in memory, as it does elsewhere.
    pub async fn written(&self) {
        let last = self.0.lock().changes();
        if !self.is_ok() {
            return;
        }
        let mut tried = self.0.tried.subscribe();
        // Late, or the thread that writes is gone: no more can be done about it here.
        let _ = timeout(WAIT_MOST, tried.wait_for(|tried| *tried >= last)).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::core::name::{NamespaceName, RoomName};

    /// As while a disk hangs: nobody writes.
    #[tokio::test]
    async fn nobody_waits_for_nothing_and_nobody_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Store::open(folder.path(), Duration::ZERO).await.unwrap();
        tokio::time::pause();
        let (store, begun) = (opened.store, Instant::now());
        store.written().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing has changed");
        let namespace = NamespaceName::parse("/push").unwrap();
        let room = RoomName::parse("r").unwrap();
        store.keeper().changed(&namespace, &room);
        store.written().await;
        // Timers count in whole milliseconds.
        let most = WAIT_MOST + Duration::from_millis(1);
        assert!((WAIT_MOST..=most).contains(&begun.elapsed()));
    }
}

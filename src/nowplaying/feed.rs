//! The state of the feed, as health and metrics show it.
//! An ingest writes it; nothing is decided by it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// The state of the feed: how many senders are connected, how far their clocks are off, and when
/// the last whole document arrived.
#[derive(Default)]
pub struct Feed {
    connections: AtomicUsize,
    /// Guards when the last whole document came; held to read or set it.
    last_document: Mutex<Option<Instant>>,
    /// Guards the skews of the connected senders; held to read or set them.
    skews: Mutex<Vec<f64>>,
}

impl Feed {
    /// How many senders are connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How long ago the last whole document came; nothing before the first.
    pub fn last_document_age(&self) -> Option<Duration> {
        self.last().map(|last| last.elapsed())
    }

    /// How far the clocks of connected senders are ahead of the server's, in seconds.
    pub fn skews(&self) -> Vec<f64> {
        let skews = self.skews.lock().expect("no code panics under this lock");
        skews.clone()
    }

    /// Sets the skews of the connected senders.
    pub fn set_skews(&self, skews: Vec<f64>) {
        *self.skews.lock().expect("no code panics under this lock") = skews;
    }

    /// A whole document has come.
    pub fn heard(&self) {
        *self.last() = Some(Instant::now());
    }

    /// A sender is connected, until what this returns is dropped.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_document
            .lock()
            .expect("no code panics under this lock")
    }
}

/// A sender that is connected.
pub struct Connected(Arc<Feed>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

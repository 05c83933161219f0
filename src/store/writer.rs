//! The thread that writes what has changed, and tries again where it can't.
//! Knows when something is written; what is, stands in `rooms` and `plays`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::file::{File, OpenError};
use super::{PLAYS_MOST, Shared, Stop, Store, plays, rooms};
use crate::core::hub::Hub;
use crate::core::name::{NamespaceName, RoomName};
use crate::nowplaying::Item;

/// After how long what the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How often what is too old is removed from the play log.
const EXPIRE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the last writing may take when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The thread at work. Dropped, it ends without a last word.
pub struct Writing {
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
}

struct Work {
    rooms: BTreeSet<(NamespaceName, RoomName)>,
    plays: Vec<Item>,
    stop: Option<Stop>,
}

impl Store {
    /// Starts writing: the rooms of this hub, and the play log.
    ///
    /// # Errors
    /// There is no thread to be had, or it was started before.
    pub fn start(&self, hub: Arc<Hub>) -> std::io::Result<Writing> {
        let shared = self.0.clone();
        let file = shared
            .file
            .lock()
            .expect("no code panics under this lock")
            .take();
        let file = file.ok_or_else(|| std::io::Error::other("the store is written already"))?;
        let (end, ended) = oneshot::channel();
        let writer = Writer {
            shared: shared.clone(),
            hub,
            file,
            expired: None,
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                writer.run();
                // Whoever waits may have given up.
                let _ = end.send(());
            })?;
        Ok(Writing { shared, ended })
    }
}

impl Writing {
    /// Writes what is left, once nothing is published any more.
    pub async fn close(mut self) {
        self.shared.stop(Stop::Clean);
        if timeout(STOP_LIMIT, &mut self.ended).await.is_err() {
            warn!("the state could not be written in time; what came last may be lost");
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.stop(Stop::Abandoned);
    }
}

struct Writer {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    file: File,
    /// When what is too old was removed last.
    expired: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        let mut refused = !self.shared.ok.load(std::sync::atomic::Ordering::Relaxed);
        if refused {
            // What the disk has is older than what there is: all is to be written.
            self.shared.lock().rooms.extend(self.hub.durable_rooms());
        }
        loop {
            let work = self.shared.take(refused);
            if work.stop == Some(Stop::Abandoned) {
                return;
            }
            let stop = work.stop.is_some();
            match self.write(&work) {
                Ok(()) => {
                    refused = false;
                    self.shared.written();
                }
                Err(error) => {
                    refused = true;
                    self.shared.failed(&error);
                    self.shared.put_back(work);
                }
            }
            if stop {
                return;
            }
        }
    }

    fn write(&mut self, work: &Work) -> Result<(), OpenError> {
        let hub = &self.hub;
        let mut all = work.rooms.clone();
        if work.stop.is_some() {
            all.extend(hub.durable_rooms());
        }
        let due = self
            .expired
            .is_none_or(|last| last.elapsed() >= EXPIRE_EVERY);
        let oldest = Utc::now() - self.shared.keep;
        let written = self.file.with(|db| {
            let transaction = db.transaction()?;
            let mut written = Vec::new();
            for (namespace, room) in &all {
                let Some(snapshot) = hub.snapshot(namespace, room) else {
                    rooms::forget(&transaction, namespace, room)?;
                    continue;
                };
                rooms::save(&transaction, &snapshot)?;
                if work.stop == Some(Stop::Clean) {
                    rooms::ended(&transaction, &snapshot)?;
                }
                written.push(snapshot);
            }
            for item in &work.plays {
                plays::record(&transaction, item)?;
            }
            if due {
                let rows = plays::expire(&transaction, oldest)?;
                debug!(rows, "removed what is too old from the play log");
            }
            transaction.commit()?;
            Ok(written)
        })?;
        if due {
            self.expired = Some(Instant::now());
        }
        written.iter().for_each(|snapshot| hub.reserved(snapshot));
        Ok(())
    }
}

impl Shared {
    fn stop(&self, stop: Stop) {
        self.lock().stop.get_or_insert(stop);
        self.wake.notify_one();
    }

    /// Waits for something to write; where the disk has refused, for a while.
    fn take(&self, refused: bool) -> Work {
        let mut pending = self.lock();
        let wait = if refused { RETRY } else { EXPIRE_EVERY };
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let is_idle = pending.rooms.is_empty() && pending.plays.is_empty();
            if pending.stop.is_some() || left.is_zero() || !(is_idle || refused) {
                break;
            }
            let waited = self.wake.wait_timeout(pending, left);
            pending = waited.expect("no code panics under this lock").0;
        }
        let plays: Vec<_> = pending.plays.drain(..).collect();
        pending.writing.clone_from(&plays);
        Work {
            rooms: std::mem::take(&mut pending.rooms),
            plays,
            stop: pending.stop,
        }
    }

    fn written(&self) {
        self.lock().writing.clear();
        self.works();
    }

    /// What the disk refused waits on, before what has come since.
    fn put_back(&self, work: Work) {
        let mut pending = self.lock();
        pending.rooms.extend(work.rooms);
        pending.writing.clear();
        for item in work.plays.into_iter().rev() {
            if pending.plays.len() < PLAYS_MOST {
                pending.plays.push_front(item);
            } else {
                metrics::counter!("roomcast_store_lost_plays_total").increment(1);
            }
        }
    }
}

//! The thread that writes what has changed, and tries again where it can't.
//! Knows when something is written; what is, stands in `rooms` and `plays`.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use rusqlite::{Transaction, TransactionBehavior};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::file::{File, OpenError};
use super::pending::{Changed, Stop, Work};
use super::{HANGS_AFTER, Shared, Store, plays, rooms};
use crate::core::durable::Snapshot;
use crate::core::hub::Hub;

/// After how long what the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How often what is too old is removed from the play log.
const EXPIRE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thread at work. Dropped, it ends without a last word.
pub struct Writing {
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
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
                let noticed = Noticed(writer.shared.clone());
                writer.run();
                drop(noticed);
                // Whoever waits may have given up.
                let _ = end.send(());
            })?;
        Ok(Writing { shared, ended })
    }
}

impl Writing {
    /// Writes what is left, once nothing is published any more; waits for it no longer than
    /// `limit`.
    pub async fn close(mut self, limit: Duration) {
        self.shared.stop(Stop::Clean);
        let ended = timeout(limit, &mut self.ended).await;
        if !matches!(ended, Ok(Ok(()))) || !self.shared.is_written() {
            warn!("the state could not be written at the end; what came last may be lost");
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.stop(Stop::Abandoned);
    }
}

/// Nobody writes any more: where that is not the end of the server, it is known.
struct Noticed(Arc<Shared>);

impl Drop for Noticed {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed(&"the thread that writes has ended by a bug");
        }
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
        let mut refused = !self.shared.is_written();
        loop {
            let work = self.shared.take(refused);
            if work.stop == Some(Stop::Abandoned) {
                return;
            }
            let stop = work.stop.is_some();
            *self.shared.writing_since() = Some(Instant::now());
            let written = self.write(&work);
            let took = self.shared.writing_since().take();
            let took = took.map(|since| since.elapsed()).unwrap_or_default();
            if took >= HANGS_AFTER {
                warn!(?took, "the disk has taken long to write the state");
            }
            let last = work.last;
            match written {
                Ok(()) => {
                    refused = false;
                    self.shared.lock().written();
                    self.shared.works();
                }
                Err(error) => {
                    refused = true;
                    self.shared.failed(&error);
                    self.shared.lock().put_back(work);
                }
            }
            self.shared.tried.send_replace(last);
            if stop {
                return;
            }
        }
    }

    fn write(&mut self, work: &Work) -> Result<(), OpenError> {
        let hub = &self.hub;
        // A file that was just opened, and not by us before, may be another one.
        let is_new = self.file.open(|unread| hub.restore(unread))?;
        let clean = work.stop == Some(Stop::Clean);
        let due = self
            .expired
            .is_none_or(|last| last.elapsed() >= EXPIRE_EVERY);
        let oldest = Utc::now() - self.shared.keep;
        let life = self.file.life();
        let written = self.file.with(|db| {
            // At once for writing: a read that becomes one is refused where another
            // program has written meanwhile, without waiting (SQLite, "Transactions").
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = match &work.changed {
                Changed::Some(rooms) if !is_new && !clean => {
                    let rooms = rooms.iter().cloned().collect();
                    save(&transaction, hub, rooms)?
                }
                _ => {
                    let mut all = hub.durable_rooms();
                    // Those too that are to be removed.
                    let known = rooms::names(&transaction)?.into_iter();
                    all.extend(known.filter(|(namespace, _)| hub.is_durable(namespace)));
                    all.sort();
                    all.dedup();
                    save(&transaction, hub, all)?
                }
            };
            if clean {
                for snapshot in &written {
                    rooms::ended(&transaction, snapshot)?;
                }
            }
            rooms::lives(&transaction, life, work.given, clean)?;
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

/// Writes these rooms as they are now, and removes those that are not there.
fn save(
    db: &Transaction<'_>,
    hub: &Hub,
    rooms: Vec<rooms::Name>,
) -> rusqlite::Result<Vec<Snapshot>> {
    let mut written = Vec::new();
    for (namespace, room) in &rooms {
        match hub.snapshot(namespace, room) {
            Some(snapshot) => {
                rooms::save(db, &snapshot)?;
                written.push(snapshot);
            }
            None => rooms::forget(db, namespace, room)?,
        }
    }
    Ok(written)
}

impl Shared {
    fn stop(&self, stop: Stop) {
        self.lock().stop(stop);
        self.wake.notify_one();
    }

    /// Whether the last that was tried to write is written.
    fn is_written(&self) -> bool {
        self.ok.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits for something to write; where the disk has refused, for a while.
    fn take(&self, refused: bool) -> Work {
        let mut pending = self.lock();
        let wait = if refused { RETRY } else { EXPIRE_EVERY };
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let has_work = !pending.is_empty() && !refused;
            if pending.stops() || left.is_zero() || has_work {
                return pending.take();
            }
            let waited = self.wake.wait_timeout(pending, left);
            pending = waited.expect("no code panics under this lock").0;
        }
    }
}

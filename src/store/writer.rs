//! The thread that writes what has changed, and tries again where it can't.
//! Knows when something is written; what is, stands in `rooms` and `plays`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use rusqlite::Transaction;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::file::{File, OpenError};
use super::pending::{Changed, Stop, Work};
use super::{HANGS_AFTER, Shared, plays, rooms};
use crate::core::durable::Snapshot;
use crate::core::hub::Hub;
use crate::core::panics::catch;
use crate::nowplaying::Airing;

/// After how long what the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How often what is too old is removed from the play log.
const EXPIRE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The thread at work. Dropped, it ends without a last word.
pub struct Writing {
    pub(super) shared: Arc<Shared>,
    pub(super) ended: oneshot::Receiver<()>,
}

impl Writing {
    /// Writes the rest, once all publications have ended. Waits no longer than `limit`.
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

pub(super) struct Writer {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    file: File,
    /// Sends the last airings after the first attempt to write; `None` after that.
    begun: Option<oneshot::Sender<Vec<Airing>>>,
    /// When what is too old was removed last.
    expired: Option<Instant>,
}

impl Writer {
    /// Creates a writer that writes at once, since the rooms that were read need their numbers,
    /// unless it [has begun](Self::has_begun).
    pub(super) fn new(
        shared: Arc<Shared>,
        hub: Arc<Hub>,
        file: File,
        begun: oneshot::Sender<Vec<Airing>>,
    ) -> Self {
        Self {
            shared,
            hub,
            file,
            begun: Some(begun),
            expired: None,
        }
    }

    /// Ends the wait of the start, after the first attempt to write.
    pub(super) fn has_begun(&mut self) {
        if let Some(begun) = self.begun.take() {
            // The receiver is gone if the start did not wait so long.
            let _ = begun.send(plays::last_airings(&self.shared.folder, Utc::now()));
        }
    }

    /// Writes until the store is stopped.
    pub(super) fn run(&mut self) {
        self.write_until_stopped();
        self.shared.given().end();
    }

    fn write_until_stopped(&mut self) {
        let mut refused = !self.shared.is_written();
        loop {
            let work = match self.begun {
                Some(_) => self.shared.lock().take(),
                None => self.shared.take(refused),
            };
            if work.stop == Some(Stop::Abandoned) {
                return;
            }
            let stop = work.stop.is_some();
            *self.shared.writing_since() = Some(Instant::now());
            let written = match catch("store", || self.write_whole(&work)) {
                Some(written) => written.map_err(|error| error.to_string()),
                None => Err("a bug kept the state from being written".to_owned()),
            };
            let took = self.shared.writing_since().take();
            let took = took.map(|since| since.elapsed()).unwrap_or_default();
            if took >= HANGS_AFTER {
                warn!(?took, "the disk has taken long to write the state");
            }
            let last = work.last;
            match written {
                Ok(()) => {
                    refused = false;
                    self.shared.given().note(0);
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
            self.has_begun();
            if stop {
                return;
            }
        }
    }

    /// Writes the work. If the file turns out to be damaged, writes to a new one.
    fn write_whole(&mut self, work: &Work) -> Result<(), OpenError> {
        if let Some(why) = &work.damaged_file {
            self.file.move_away(why);
        }
        self.file.damaged_plays(&work.damaged);
        match self.write(work) {
            Err(error) if error.is_damage() => self.write(work),
            written => written,
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
        let (written, reserved) = self.file.write(|transaction| {
            let written = match &work.changed {
                Changed::Some(rooms) if !is_new && !clean => {
                    let rooms = rooms.iter().cloned().collect();
                    save(transaction, hub, rooms)?
                }
                _ => {
                    let mut all = hub.durable_rooms();
                    // Those too that are to be removed.
                    let known = rooms::names(transaction)?.into_iter();
                    all.extend(known.filter(|(namespace, _)| hub.is_durable(namespace)));
                    all.sort();
                    all.dedup();
                    save(transaction, hub, all)?
                }
            };
            if clean {
                for snapshot in &written {
                    rooms::ended(transaction, snapshot)?;
                }
            }
            rooms::lives(transaction, life, work.given, clean)?;
            for item in &work.plays {
                plays::record(transaction, item)?;
            }
            if due {
                let rows = plays::expire(transaction, oldest)?;
                debug!(rows, "removed what is too old from the play log");
            }
            Ok(written)
        })?;
        if due {
            self.expired = Some(Instant::now());
        }
        let all = reserved.iter().chain(&written);
        all.for_each(|snapshot| hub.reserved(snapshot));
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

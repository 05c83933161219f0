//! What outlives the process, in one SQLite file: durable rooms and the play log.
//! A thread of its own writes it, off the path of every event. Knows the hub,
//! no door and no feed.
//!
//! Where the disk refuses, everything goes on in memory, and is written down
//! once the disk takes it again; health, log and metrics say so.

mod away;
mod damaged;
mod file;
mod given;
mod load;
mod lock;
mod opening;
mod pending;
mod plays;
mod private;
mod reader;
mod rooms;
mod schema;
mod writer;
mod written;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tracing::{error, info};

use crate::core::durable::{Keeper, Snapshot};
use crate::core::name::{NamespaceName, RoomName};
use crate::nowplaying::Item;
use damaged::Found;

use given::Given;
pub use opening::Begin;
use pending::Pending;
use reader::Reader;
pub use writer::Writing;
use written::Tried;

/// A writing that takes longer hangs, as one over a network does: a slow card
/// takes a second.
const HANGS_AFTER: Duration = Duration::from_secs(5);

/// Most descriptors: the lock, the note, and SQLite's three files for each of the writer,
/// the readers and the start.
pub const DESCRIPTORS: usize = 2 + 3 * 3;

/// Why a folder can't be the store's. A disk that refuses is no reason.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system starts no thread.
    #[error("the thread of the store can't be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Two processes would give the same offsets.
    #[error("{0} is in use by another process: give each server a --state of its own")]
    Taken(PathBuf),
    /// What is there would be harmed.
    #[error("{file} is of a newer version (schema {found}, this one knows {known})")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest one that is known.
        known: i64,
    },
    /// What is there is somebody else's.
    #[error("{0} is not of roomcast: move it away, or give another --state")]
    Foreign(PathBuf),
    /// The file can't be read; for those only that need it.
    #[error("{file} can't be read: {error}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system, or SQLite, says.
        error: String,
    },
}

/// Which items of the play log are asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Those that started at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Those that started before this time.
    pub to: Option<DateTime<Utc>>,
    /// Also what was no song.
    pub all: bool,
    /// How many at most, the newest; none: all of them.
    pub limit: Option<usize>,
    /// The answer ends with the item whose texts reach this many bytes in total; `None`: no
    /// limit.
    pub text_bytes: Option<usize>,
}

/// The store, for those who write to it and read from it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// A store, and what it had.
pub struct Opened {
    /// The store; it writes nothing before [`Begin::write`].
    pub store: Store,
    /// The durable rooms of the file. Empty if the disk is slow; then the hub receives them later.
    pub rooms: Vec<Snapshot>,
    /// Starts the writing, once there is a hub.
    pub begin: Begin,
}

struct Shared {
    folder: PathBuf,
    /// Guards what is to be written; held to add and to take only.
    pending: Mutex<Pending>,
    wake: Condvar,
    /// Guards the note that events were sent; held to write it. No room and nothing else of the
    /// store is locked meanwhile.
    given: Mutex<Given>,
    /// How far the writer is, for those who wait for it.
    tried: Tried,
    /// Whether the disk took what it was last given.
    ok: AtomicBool,
    /// Guards since when something is being written; held to set or read it.
    writing_since: Mutex<Option<Instant>>,
    /// For how long items stay in the play log.
    keep: Duration,
    /// Guards the connection of those who read; held while one of them does.
    reader: Mutex<Option<Reader>>,
    /// The damage found since the start.
    found: Arc<Found>,
}

impl Store {
    /// Whether the disk took all that it was given, and hangs at nothing.
    pub fn is_ok(&self) -> bool {
        let since = *self.0.writing_since();
        self.0.ok.load(Ordering::Relaxed) && since.is_none_or(|at| at.elapsed() < HANGS_AFTER)
    }

    /// The new name of the damaged database, if the store has renamed one since the start.
    pub fn damaged_file(&self) -> Option<&str> {
        self.0.found.file.get().map(String::as_str)
    }

    /// How many damaged rows the store has set aside since the start.
    pub fn damaged_rows(&self) -> usize {
        self.0.found.rows()
    }

    /// Who is to be told of the changes of durable rooms.
    pub fn keeper(&self) -> Arc<dyn Keeper> {
        self.0.clone()
    }

    /// An item was on air, or is: a row of the play log, or the same corrected.
    /// Never blocks.
    pub fn aired(&self, item: Item) {
        self.0.lock().aired(item);
        self.0.wake.notify_one();
    }

    /// The play log, newest first. Blocks while it reads.
    ///
    /// Where the store is in memory only, that is what is there.
    ///
    /// # Errors
    /// The play log can't be read.
    pub fn history(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let waiting = self.0.lock().waiting();
        let mut reader = self
            .0
            .reader
            .lock()
            .expect("no code panics under this lock");
        let mut damaged = Vec::new();
        let read = reader::read_only(&self.0.folder, &mut reader, |db| {
            plays::read(db, query, &mut damaged)
        });
        drop(reader);
        if !damaged.is_empty() {
            self.0.lock().damaged(damaged);
            self.0.wake.notify_one();
        }
        let mut rows = match read {
            Ok(rows) => rows,
            Err(error) => {
                if damaged::is_of_the_file(&error) {
                    self.0.lock().damaged_file(error.to_string());
                    self.0.wake.notify_one();
                }
                match self.is_ok() {
                    true => return Err(unreadable(&self.0.folder, &error)),
                    false => Vec::new(),
                }
            }
        };
        plays::merge(&mut rows, waiting, query);
        Ok(rows)
    }
}

/// Passes the play log of a folder, which a server may be using, to `take`: item by item,
/// newest first, until `take` fails.
///
/// # Errors
/// There is no play log, or it can't be read; or the error of `take`.
pub fn history<E>(
    folder: &Path,
    query: &Query,
    take: impl FnMut(Item) -> Result<(), E>,
) -> Result<Result<(), E>, StoreError> {
    let read = reader::read_only(folder, &mut None, |db| {
        plays::each(db, query, take, &mut Vec::new())
    });
    read.map_err(|error| unreadable(folder, &error))
}

fn unreadable(folder: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Unreadable {
        file: file::path(folder),
        error: error.to_string(),
    }
}

impl Keeper for Shared {
    fn begins(&self) {
        let note = self.lock().begins();
        self.given().note(note);
    }

    fn published(&self, namespace: &NamespaceName, room: &RoomName) {
        self.lock().published(namespace, room);
        self.wake.notify_one();
    }

    fn changed(&self, namespace: &NamespaceName, room: &RoomName) {
        self.lock().changed(namespace, room);
        self.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect("no code panics under this lock")
    }

    fn close_reader(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().expect("no code panics under this lock")
    }

    fn writing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.writing_since
            .lock()
            .expect("no code panics under this lock")
    }

    /// The disk has refused; said once until it works again.
    fn failed(&self, error: &dyn std::fmt::Display) {
        metrics::counter!("roomcast_store_failures_total").increment(1);
        if self.ok.swap(false, Ordering::Relaxed) {
            let folder = self.folder.display();
            error!(
                %folder,
                %error,
                "the state can't be written; everything goes on in memory, and a restart \
                 would lose it"
            );
        }
    }

    fn works(&self) {
        if !self.ok.swap(true, Ordering::Relaxed) {
            info!(folder = %self.folder.display(), "the state is written again");
        }
    }
}

//! Opens the store: its thread reads the rooms, and the start waits for it for two seconds at most.
//! If the disk is slower, the server starts in memory, and the hub receives the rooms later.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use chrono::Utc;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::damaged::Found;
use super::file::{File, OpenError};
use super::given::Given;
use super::writer::{Writer, Writing};
use super::written::Tried;
use super::{Opened, Shared, Store, StoreError, plays};
use crate::core::durable::Snapshot;
use crate::core::hub::Hub;
use crate::nowplaying::Airing;
use crate::supervise;

/// How long the start waits for the disk: a usual disk needs a few milliseconds for the four syncs
/// of a start, and a slow memory card a second.
const WAIT_MOST: Duration = Duration::from_secs(2);

/// Starts the writing, once there is a hub. If it is dropped before, the store's thread ends.
pub struct Begin {
    shared: Arc<Shared>,
    /// Until when the start waits.
    until: Instant,
    hub: mpsc::Sender<Arc<Hub>>,
    /// The last airings, as they were read with the rooms.
    airings: Vec<Airing>,
    /// Receives them after the first attempt to write, which migrates files of earlier versions.
    begun: oneshot::Receiver<Vec<Airing>>,
    ended: oneshot::Receiver<()>,
}

impl Store {
    /// Opens the database in the folder, and creates it if it does not exist.
    ///
    /// If the disk refuses, or takes longer than two seconds, that is no error: the store keeps
    /// everything in memory and tries again.
    ///
    /// # Errors
    /// The store must not use the folder: another process uses it, or its file is of another
    /// program or a newer version.
    pub async fn open(folder: &Path, keep: Duration) -> Result<Opened, StoreError> {
        let found = Arc::<Found>::default();
        let file = File::new(folder, found.clone());
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            pending: Mutex::default(),
            given: Mutex::new(Given::begin(folder, file.life())),
            wake: Condvar::new(),
            tried: Tried::default(),
            ok: AtomicBool::new(true),
            writing_since: Mutex::default(),
            keep,
            reader: Mutex::default(),
            found,
        });
        let (load, mut loaded) = oneshot::channel();
        let (hub, hubs) = mpsc::channel();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let opening = Opening {
            shared: shared.clone(),
            file,
            loaded: load,
            hubs,
            begun: begin,
        };
        let runtime = Handle::current();
        let (mut opening, mut writer, mut end) = (Some(opening), None::<Writer>, Some(end));
        let of_thread = shared.clone();
        supervise::thread("store", move || {
            let _runtime = runtime.enter();
            match opening.take() {
                Some(opening) => writer = opening.run(),
                None if writer.is_none() => {
                    of_thread.failed(&"a bug kept the database from being opened")
                }
                None => {}
            }
            if let Some(writer) = &mut writer {
                writer.run();
            }
            // Closes the file before it reports that the thread has ended. SQLite folds its log into
            // the file with the last connection.
            of_thread.close_reader();
            writer = None;
            // The receiver may be gone.
            end.take().map(|end| end.send(()));
        })?;
        let until = Instant::now() + WAIT_MOST;
        let (rooms, airings) = match timeout_at(until, &mut loaded).await {
            Ok(Ok(loaded)) => loaded?,
            // The thread has panicked, and that was logged.
            Ok(Err(_)) => Loaded::default(),
            Err(_) => {
                shared.is_slow();
                // From now on the thread passes the rooms to the hub.
                loaded.close();
                loaded
                    .try_recv()
                    .unwrap_or_else(|_| Ok(Loaded::default()))?
            }
        };
        let begin = Begin {
            shared: shared.clone(),
            until,
            hub,
            airings,
            begun,
            ended,
        };
        Ok(Opened {
            store: Self(shared),
            rooms,
            begin,
        })
    }
}

impl Begin {
    /// Starts to write the rooms of this hub, and the play log. Waits for the disk until the two
    /// seconds of the start are over. Also returns the last airings; none if they can't be read in
    /// that time.
    pub async fn write(self, hub: Arc<Hub>) -> (Writing, Vec<Airing>) {
        // If the thread has ended, the next wait ends at once.
        let _ = self.hub.send(hub);
        let airings = match timeout_at(self.until, self.begun).await {
            Ok(airings) => airings.unwrap_or_default(),
            Err(_) => {
                self.shared.is_slow();
                self.airings
            }
        };
        let writing = Writing {
            shared: self.shared,
            ended: self.ended,
        };
        (writing, airings)
    }
}

impl Shared {
    /// Logs, once, that the server starts without the disk.
    fn is_slow(&self) {
        if self.ok.swap(false, Ordering::Relaxed) {
            warn!(
                folder = %self.folder.display(),
                "the disk is slow: the server starts before the database is open, and works in \
                 memory until then"
            );
        }
    }
}

/// What was read at the start: the rooms, and the last airings.
type Loaded = (Vec<Snapshot>, Vec<Airing>);

/// The state in which the thread of the store begins.
struct Opening {
    shared: Arc<Shared>,
    file: File,
    /// Takes what was read, or why the folder can't be used, as long as the start waits for it.
    loaded: oneshot::Sender<Result<Loaded, StoreError>>,
    hubs: mpsc::Receiver<Arc<Hub>>,
    begun: oneshot::Sender<Vec<Airing>>,
}

impl Opening {
    /// Reads the rooms. Returns the writer; `None` if the start has given up.
    fn run(mut self) -> Option<Writer> {
        let mut is_refused = true;
        let loaded = match self.file.load() {
            Ok(rooms) => {
                is_refused = false;
                Ok(rooms)
            }
            Err(OpenError::Refused(error)) => Err(error),
            Err(error) => {
                self.shared.failed(&error);
                Ok(self.file.load_as_it_is())
            }
        };
        let airings = |rooms| (rooms, plays::last_airings(&self.shared.folder, Utc::now()));
        let late = self.loaded.send(loaded.map(airings)).err();
        let hub = self.hubs.recv().ok()?;
        match late {
            Some(Ok((rooms, _))) => hub.restore(rooms),
            Some(Err(error)) => self.shared.failed(&error),
            None => {}
        }
        let mut writer = Writer::new(self.shared, hub, self.file, self.begun);
        if is_refused {
            writer.has_begun();
        }
        Some(writer)
    }
}

//! How the store is opened: its thread reads the rooms, and the start waits for it, but not for
//! a disk that hangs. Then everything begins in memory, and the rooms come later.

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

/// How long the start waits for the disk: usual ones need a few milliseconds for the four syncs
/// of a start, and a slow card a second.
const WAIT_MOST: Duration = Duration::from_secs(2);

/// Begins to write, once there is a hub. Dropped before, the store's thread ends.
pub struct Begin {
    shared: Arc<Shared>,
    /// Until when the start waits.
    until: Instant,
    hub: mpsc::Sender<Arc<Hub>>,
    /// The last airings, as they were read with the rooms.
    airings: Vec<Airing>,
    /// The same, when the disk was first tried to write; that migrates files of earlier versions.
    begun: oneshot::Receiver<Vec<Airing>>,
    ended: oneshot::Receiver<()>,
}

impl Store {
    /// Opens what is in the folder, and makes it where it is not there.
    ///
    /// A disk that refuses, or takes longer than two seconds, makes no error but a store in memory,
    /// which goes on trying.
    ///
    /// # Errors
    /// The folder is another's.
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
                None if writer.is_none() => of_thread.failed(&"it was not opened because of a bug"),
                None => {}
            }
            if let Some(writer) = &mut writer {
                writer.run();
            }
            // The file is closed before anybody is told that the thread has ended.
            writer = None;
            // Whoever waits may have given up.
            end.take().map(|end| end.send(()));
        })?;
        let until = Instant::now() + WAIT_MOST;
        let (rooms, airings) = match timeout_at(until, &mut loaded).await {
            Ok(Ok(loaded)) => loaded?,
            // The thread has ended by a bug, and has said so.
            Ok(Err(_)) => Loaded::default(),
            Err(_) => {
                shared.is_slow();
                // From now on the hub gets them.
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
    /// Begins to write the rooms of this hub, and the play log; waits for the disk no longer than
    /// the start may take. Also returns the last airings, none if the disk can't be read in time.
    pub async fn write(self, hub: Arc<Hub>) -> (Writing, Vec<Airing>) {
        // Where the thread has ended there is nothing to wait for.
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
    /// The start goes on without the disk; said once.
    fn is_slow(&self) {
        if self.ok.swap(false, Ordering::Relaxed) {
            warn!(
                folder = %self.folder.display(),
                "the disk is slow: the server starts before the state is open, and goes on in \
                 memory until then"
            );
        }
    }
}

/// What was read at the start: the rooms, and the last airings.
type Loaded = (Vec<Snapshot>, Vec<Airing>);

/// What the thread of the store begins with.
struct Opening {
    shared: Arc<Shared>,
    file: File,
    /// Takes what was read, or why the folder can't be used, as long as the start waits for it.
    loaded: oneshot::Sender<Result<Loaded, StoreError>>,
    hubs: mpsc::Receiver<Arc<Hub>>,
    begun: oneshot::Sender<Vec<Airing>>,
}

impl Opening {
    /// Returns what writes from now on; nothing where there is no hub any more.
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

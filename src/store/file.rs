//! The file of the store: takes its lock, opens it, judges how the previous run ended, and moves it
//! away if it is damaged. Knows SQLite and the folder; not what the tables are for.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tracing::{error, warn};
use uuid::Uuid;

use super::damaged::{self, Damaged, Found};
use super::given::{self, Life};
use super::load::{self, Before, Loaded};
use super::lock::Lock;
use super::reader::{read_only, read_untouched};
use super::{StoreError, away, plays, private, rooms, schema};
use crate::core::durable::Snapshot;
use crate::core::event::Epoch;

/// The file in the folder.
pub(super) const NAME: &str = "roomcast.db";

/// The endings of the names of a database's files; SQLite gives all of them the mode of the first.
pub(super) const ENDS: [&str; 3] = ["", "-wal", "-shm"];

/// For how long one waits for another who has the file, as a person with a shell
/// may; then it counts as refused, and is tried again.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// What keeps the file from being opened, or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Refused(#[from] StoreError),
}

impl OpenError {
    /// Whether the file is damaged. Then it was moved away, and the next attempt finds none.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite(error) if damaged::is_of_the_file(error))
    }
}

/// The file, opened when needed, and anew after a failure.
pub(super) struct File {
    folder: PathBuf,
    /// Which run of the server this is.
    life: Life,
    /// The note of the previous run.
    left: Option<given::Noted>,
    lock: Option<Lock>,
    open: Option<Open>,
    /// Whether what the file had is still to be read, since the disk refused.
    unread: bool,
    /// The rooms that were read; the next write reserves numbers for them.
    rooms: Vec<Snapshot>,
    /// The unreadable rows; the next write sets them aside.
    damaged: Vec<Damaged>,
    found: Arc<Found>,
}

struct Open {
    db: Connection,
    identity: Identity,
    /// Whether it has the tables of this version, and can be written.
    is_prepared: bool,
}

/// Which file a path leads to: another one may be put in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(about.dev(), about.ino()))
    }
}

impl File {
    /// Creates a file that is not open yet. Adds the damage that it finds to `found`.
    pub(super) fn new(folder: &Path, found: Arc<Found>) -> Self {
        Self {
            folder: folder.to_owned(),
            // Half of the numbers: SQLite's are signed.
            life: Uuid::new_v4().as_u128() as u64 >> 1,
            left: given::last(folder),
            lock: None,
            open: None,
            unread: true,
            rooms: Vec::new(),
            damaged: Vec::new(),
            found,
        }
    }

    /// Which run of the server this is.
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Adds unreadable rows of the play log, which the next write sets aside.
    pub(super) fn damaged_plays(&mut self, rows: &[i64]) {
        let why = "a reader could not read it";
        let damaged = |row: &i64| Damaged::numbered(&plays::TABLE, *row, why);
        self.damaged.extend(rows.iter().map(damaged));
    }

    /// Reads the rooms. Reserves no numbers for them: the disk would have to write.
    pub(super) fn load(&mut self) -> Result<Vec<Snapshot>, OpenError> {
        let loaded = self.connect_and_read();
        match self.watch(loaded) {
            // The file was moved away: this creates a new one.
            Err(error) if error.is_damage() => self.connect_and_read(),
            loaded => loaded,
        }
    }

    /// Opens the file for writing, unless it is open and still the same file. Returns whether it
    /// did.
    ///
    /// `restore` receives the rooms that could not be read at the start.
    pub(super) fn open(&mut self, restore: impl FnOnce(Vec<Snapshot>)) -> Result<bool, OpenError> {
        let is_new = !self.is_open();
        if is_new {
            restore(self.load()?);
        }
        let prepared = self.prepare();
        self.watch(prepared)?;
        Ok(is_new)
    }

    /// Writes to the open file. The same transaction reserves the numbers of the rooms that were
    /// read and sets damaged rows aside. After a failure the file is opened anew. Also returns the
    /// rooms that have their numbers now.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<(T, Vec<Snapshot>), OpenError> {
        let Some(mut open) = self.open.take() else {
            return Err(io::Error::other("the file is not open").into());
        };
        let write = || -> rusqlite::Result<T> {
            // At once for writing: a read that becomes one is refused where another
            // program has written meanwhile, without waiting (SQLite, "Transactions").
            let behavior = TransactionBehavior::Immediate;
            let transaction = open.db.transaction_with_behavior(behavior)?;
            for row in &self.damaged {
                row.set_aside(&transaction)?;
            }
            rooms::reserve(&transaction, &mut self.rooms)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        let written = write();
        self.open = written.is_ok().then_some(open);
        let done = self.watch(written)?;
        if let Some(lock) = &mut self.lock {
            lock.note(self.life)?;
        }
        self.found.set_aside(&std::mem::take(&mut self.damaged));
        Ok((done, std::mem::take(&mut self.rooms)))
    }

    /// The rooms of a disk that takes nothing, with nothing reserved; none where
    /// they can't be read either, and then they are read once that is possible.
    pub(super) fn load_as_it_is(&mut self) -> Vec<Snapshot> {
        let read = read_only(&self.folder, &mut None, load::load);
        match read.or_else(|_| read_untouched(&self.folder, load::load)) {
            Ok(loaded) => self.take(loaded, Lock::noted(&self.folder)),
            Err(_) => Vec::new(),
        }
    }

    /// What was read is not there any more: all is another than in the file.
    fn is_open(&mut self) -> bool {
        let now = Identity::of(&path(&self.folder)).ok();
        self.open.take_if(|open| Some(open.identity) != now);
        self.open.is_some()
    }

    /// Opens the file, and reads the rooms unless that is done. Does not wait for a disk that
    /// writes slowly.
    fn connect_and_read(&mut self) -> Result<Vec<Snapshot>, OpenError> {
        make(&self.folder)?;
        let folder = &self.folder;
        let lock = match self.lock.take().filter(|lock| lock.is_there(folder)) {
            Some(lock) => lock,
            None => Lock::take(folder)?,
        };
        let lock = self.lock.insert(lock);
        let path = path(folder);
        let is_empty = fs::metadata(&path).map_or(true, |about| about.len() == 0);
        if is_empty && lock.had_database() && self.found.file.get().is_none() {
            warn!(
                file = %path.display(),
                "the database is missing or empty although this folder had one: the server creates a new one"
            );
        }
        private::create(&path)?;
        for end in ENDS {
            private::close(&folder.join(format!("{NAME}{end}")));
        }
        let db = Connection::open(&path)?;
        db.busy_timeout(BUSY)?;
        schema::check(&db, &path)?;
        let rooms = match self.unread {
            true => {
                let noted = lock.found();
                let loaded = load::load(&db)?;
                self.take(loaded, noted)
            }
            false => Vec::new(),
        };
        self.open = Some(Open {
            db,
            identity: Identity::of(&path)?,
            is_prepared: false,
        });
        Ok(rooms)
    }

    fn prepare(&mut self) -> Result<(), OpenError> {
        if let Some(open) = self.open.as_mut().filter(|open| !open.is_prepared) {
            let db = &mut open.db;
            db.pragma_update(None, "journal_mode", "WAL")?;
            // Reserved numbers must survive a power cut, else a room would give them twice.
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "foreign_keys", true)?;
            schema::migrate(db)?;
            open.is_prepared = true;
        }
        Ok(())
    }

    /// Stores what was read, and returns the rooms for the hub.
    fn take(&mut self, loaded: Loaded, noted: Option<Life>) -> Vec<Snapshot> {
        let Loaded {
            mut rooms,
            before,
            damaged,
        } = loaded;
        if let Some(before) = before {
            judge(&mut rooms, before, noted, self.left);
        }
        self.unread = false;
        self.damaged = damaged;
        self.rooms.clone_from(&rooms);
        rooms
    }

    /// Returns a result unchanged; moves the file away if the result says that it is damaged.
    fn watch<T, E: Into<OpenError>>(&mut self, done: Result<T, E>) -> Result<T, OpenError> {
        let done = done.map_err(Into::into);
        if let Err(error) = &done
            && error.is_damage()
        {
            self.move_away(error);
        }
        done
    }

    /// Moves the damaged file and its extra files away, so that the next attempt creates a new one.
    pub(super) fn move_away(&mut self, why: &dyn std::fmt::Display) {
        self.open = None;
        let file = path(&self.folder);
        let moved = away::move_away(&self.folder);
        match moved {
            Ok(to) => {
                error!(
                    file = %file.display(), %why, moved_to = to,
                    "the database was damaged: it is renamed, and a new one is created; clients that \
                     come back after a restart receive recovered:false, and the play log is empty"
                );
                metrics::counter!("roomcast_store_damaged_files_total").increment(1);
                self.rooms.clear();
                self.damaged.clear();
                let _ = self.found.file.set(to);
            }
            Err(error) => {
                error!(file = %file.display(), %why, %error, "the damaged database can't be renamed");
            }
        }
    }
}

/// What is to be made of rooms, by how the life before ended.
fn judge(rooms: &mut [Snapshot], before: Before, noted: Option<Life>, left: Option<given::Noted>) {
    let has_left = noted == Some(before.life) || noted == before.its_before;
    if !has_left || left.is_some_and(|(life, _)| life != before.life) {
        warn!("the state is not what the server left: rooms begin another epoch");
        rooms
            .iter_mut()
            .for_each(|room| room.epoch = Epoch::random());
    } else if !before.clean && left != Some((before.life, before.given)) {
        warn!("the server did not end by itself, and events may be lost that were not written");
        rooms
            .iter_mut()
            .for_each(|room| room.contents.hole = room.head);
    }
}

/// For us alone: what people say in rooms is nobody else's.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

//! The file of the store: whose it is, how it is opened, and what is known of the
//! life before. Knows SQLite and the folder; not what the tables are for.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tracing::warn;
use uuid::Uuid;

use super::given::{self, Life};
use super::lock::Lock;
use super::rooms::Before;
use super::{StoreError, private, rooms, schema};
use crate::core::durable::Snapshot;
use crate::core::event::Epoch;

/// The file in the folder.
const NAME: &str = "roomcast.db";

/// For how long one waits for another who has the file, as a person with a shell
/// may; then it counts as refused, and is tried again.
const BUSY: Duration = Duration::from_secs(1);

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

/// The file, opened when needed, and anew after a failure.
pub(super) struct File {
    folder: PathBuf,
    /// Which run of the server this is.
    life: Life,
    lock: Option<Lock>,
    /// The connection, and which file it is.
    db: Option<(Connection, Identity)>,
    /// Whether what the file had is still to be read, since the disk refused.
    unread: bool,
}

/// Which file a path leads to: another one may be put in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(about.dev(), about.ino()))
    }
}

impl File {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            // Half of the numbers: SQLite's are signed.
            life: Uuid::new_v4().as_u128() as u64 >> 1,
            lock: None,
            db: None,
            unread: false,
        }
    }

    /// Which run of the server this is.
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Opens the file where it is not open, or was exchanged; whether that was so.
    ///
    /// `restore` is given what was not read at the start.
    pub(super) fn open(&mut self, restore: impl FnOnce(Vec<Snapshot>)) -> Result<bool, OpenError> {
        if self.is_open() {
            return Ok(false);
        }
        self.connect()?;
        if self.unread {
            restore(self.read()?);
        }
        Ok(true)
    }

    /// Does something with the open file; after a failure it is opened anew.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OpenError> {
        let (mut db, identity) = match self.db.take() {
            Some(open) => open,
            None => return Err(io::Error::other("the file is not open").into()),
        };
        let done = work(&mut db)?;
        self.db = Some((db, identity));
        if let Some(lock) = &mut self.lock {
            lock.note(self.life)?;
        }
        Ok(done)
    }

    /// The rooms, with numbers reserved for each of them.
    pub(super) fn load(&mut self) -> Result<Vec<Snapshot>, OpenError> {
        self.unread = true;
        self.connect()?;
        self.read()
    }

    /// The rooms of a disk that takes nothing, with nothing reserved; none where
    /// they can't be read either, and then they are read once that is possible.
    pub(super) fn load_as_it_is(&mut self) -> Vec<Snapshot> {
        let load = |db: &Connection| Ok((rooms::load(db)?, rooms::before(db)?));
        let untouched = |_| {
            // SQLite's own log holds what came last; without one this is all.
            let log = self.folder.join(format!("{NAME}-wal"));
            if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
                return Err(rusqlite::Error::QueryReturnedNoRows);
            }
            let path = percent_encoded(&path(&self.folder));
            let uri = format!("file:{path}?immutable=1");
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            load(&Connection::open_with_flags(uri, flags)?)
        };
        match read_only(&self.folder, &mut None, load).or_else(untouched) {
            Ok((mut all, before)) => {
                self.unread = false;
                let noted = Lock::noted(&self.folder);
                judge(&self.folder, &mut all, before, noted);
                all
            }
            Err(_) => Vec::new(),
        }
    }

    /// What was read is not there any more: all is another than in the file.
    fn is_open(&mut self) -> bool {
        let path = path(&self.folder);
        let now = Identity::of(&path).ok();
        let same = matches!(&self.db, Some((_, identity)) if Some(*identity) == now);
        if !same {
            self.db = None;
        }
        same
    }

    fn connect(&mut self) -> Result<(), OpenError> {
        make(&self.folder)?;
        if !self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.is_there(&self.folder))
        {
            self.lock = Some(Lock::take(&self.folder)?);
        }
        let path = path(&self.folder);
        private::create(&path)?;
        // SQLite gives the other two the mode of the first.
        for end in ["", "-wal", "-shm"] {
            private::close(&self.folder.join(format!("{NAME}{end}")));
        }
        let mut db = Connection::open(&path)?;
        db.busy_timeout(BUSY)?;
        schema::check(&db, &path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // What is reserved has to outlive also a power cut, else it is given twice.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut db)?;
        self.db = Some((db, Identity::of(&path)?));
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Snapshot>, OpenError> {
        let (folder, life) = (self.folder.clone(), self.life);
        let noted = self.lock.as_ref().and_then(Lock::found);
        let all = self.with(|db| {
            let transaction = db.transaction()?;
            let mut all = rooms::load(&transaction)?;
            let before = rooms::before(&transaction)?;
            judge(&folder, &mut all, before, noted);
            rooms::reserve(&transaction, &mut all)?;
            rooms::lives(&transaction, life, 0, false)?;
            transaction.commit()?;
            Ok(all)
        })?;
        self.unread = false;
        Ok(all)
    }
}

/// What is to be made of rooms, by how the life before ended.
fn judge(folder: &Path, all: &mut [Snapshot], before: Option<Before>, noted: Option<Life>) {
    let Some(before) = before else { return };
    let last = given::last(folder);
    let has_left = noted == Some(before.life) || noted == before.its_before;
    if !has_left || last.is_some_and(|(life, _)| life != before.life) {
        warn!("the state is not what the server left: rooms begin another epoch");
        all.iter_mut().for_each(|room| room.epoch = Epoch::random());
    } else if !before.clean && last != Some((before.life, before.given)) {
        warn!("the server did not end by itself, and events may be lost that were not written");
        all.iter_mut()
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

/// A connection that only reads, and which file it is of.
pub(super) type Reader = (Connection, Option<Identity>);

/// Reads from the file with a connection that is kept while it works, and while
/// the file is the same.
pub(super) fn read_only<T>(
    folder: &Path,
    reader: &mut Option<Reader>,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let path = path(folder);
    let now = Identity::of(&path).ok();
    let db = match reader.take() {
        Some((db, identity)) if identity == now => db,
        _ => {
            let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(BUSY)?;
            db
        }
    };
    let rows = read(&db)?;
    *reader = Some((db, now));
    Ok(rows)
}

/// A path in a URI (SQLite, "URI Filenames").
fn percent_encoded(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes
        .map(|byte| match plain(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

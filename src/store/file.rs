//! The file of the store: whose it is, how it is opened, and its schema.
//! Knows SQLite and the folder; not what the tables are for.

use std::fs::{self, DirBuilder, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, rooms};
use crate::core::durable::Snapshot;

/// The file in the folder.
const NAME: &str = "roomcast.db";

/// The file that is locked as long as a server uses the folder.
const LOCK: &str = "lock";

/// Marks the file as ours (SQLite, "Application ID"): "room".
const APPLICATION: i64 = 0x726f_6f6d;

/// The schema of this version. With another one comes a step in [`migrate`].
const SCHEMA: i64 = 1;

/// For how long one waits for another who has the file, as a person with a shell
/// may; then it counts as refused, and is tried again.
const BUSY: Duration = Duration::from_secs(1);

const TABLES: &str = "
    CREATE TABLE rooms (
        id        INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        room      TEXT NOT NULL,
        epoch     TEXT NOT NULL,
        -- The numbers below it may have been given; after a clean end the last one.
        reserved  INTEGER NOT NULL,
        -- All events behind it are the history.
        floor     INTEGER NOT NULL,
        UNIQUE (namespace, room)
    );
    CREATE TABLE events (
        room    INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
        number  INTEGER NOT NULL,
        epoch   TEXT NOT NULL,
        time    INTEGER NOT NULL, -- ms since 1970
        sender  TEXT NOT NULL,
        message TEXT NOT NULL,    -- JSON, as it came
        PRIMARY KEY (room, number)
    ) WITHOUT ROWID;
    CREATE TABLE retained (
        room   INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
        key    TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    CREATE TABLE plays (
        id      INTEGER PRIMARY KEY,
        item    TEXT NOT NULL,    -- the feed's id of it, or empty
        started INTEGER NOT NULL, -- ms since 1970
        type    TEXT NOT NULL,
        title   TEXT NOT NULL,
        artist  TEXT NOT NULL,
        album   TEXT NOT NULL,
        length  REAL NOT NULL     -- ms, 0 where unknown
    );
    CREATE INDEX plays_by_start ON plays (started);
";

/// The folder is ours as long as this is there.
pub(super) struct Locked(
    // Closing the file ends the lock.
    #[expect(dead_code)] fs::File,
);

/// Takes the folder for this process; nothing where the disk does not let us.
pub(super) fn lock(folder: &Path) -> Result<Option<Locked>, StoreError> {
    let lock = make(folder).and_then(|()| fs::File::create(folder.join(LOCK)));
    // What is wrong with the disk shows again when the file is opened.
    let Ok(lock) = lock else { return Ok(None) };
    match lock.try_lock() {
        Ok(()) => Ok(Some(Locked(lock))),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken(folder.to_owned())),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// For us alone: what people say in rooms is nobody else's.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Why nothing was loaded.
pub(super) enum LoadError {
    /// It is not ours to use.
    Refused(StoreError),
    /// The disk, or what is on it.
    Failed(OpenError),
}

/// What keeps the file from being opened.
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
    db: Option<Connection>,
}

impl File {
    pub(super) fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, db: None }
    }

    /// Does something with the file; after a failure it is opened anew.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OpenError> {
        let mut db = match self.db.take() {
            Some(db) => db,
            None => open(&self.folder)?,
        };
        let done = work(&mut db)?;
        self.db = Some(db);
        Ok(done)
    }

    /// The rooms, with numbers reserved for each of them.
    pub(super) fn load(&mut self) -> Result<Vec<Snapshot>, LoadError> {
        self.with(|db| {
            let transaction = db.transaction()?;
            let mut all = rooms::load(&transaction)?;
            rooms::reserve(&transaction, &mut all)?;
            transaction.commit()?;
            Ok(all)
        })
        .map_err(|error| match error {
            OpenError::Refused(error) => LoadError::Refused(error),
            error => LoadError::Failed(error),
        })
    }

    /// The rooms of a disk that takes nothing, with nothing reserved; none where
    /// they can't be read either.
    pub(super) fn load_as_it_is(&self) -> Vec<Snapshot> {
        let as_file_system_allows = || read_only(&self.folder, &mut None, rooms::load);
        let untouched = || {
            // No lock and no index of the log is written; without the log, what
            // came last may be missing.
            let path = percent_encoded(&path(&self.folder));
            let uri = format!("file:{path}?immutable=1");
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            rooms::load(&Connection::open_with_flags(uri, flags)?)
        };
        as_file_system_allows()
            .or_else(|_| untouched())
            .unwrap_or_default()
    }
}

/// Reads from the file with a connection that is kept while it works.
pub(super) fn read_only<T>(
    folder: &Path,
    reader: &mut Option<Connection>,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let db = match reader.take() {
        Some(db) => db,
        None => {
            let db = Connection::open_with_flags(path(folder), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(BUSY)?;
            db
        }
    };
    let rows = read(&db)?;
    *reader = Some(db);
    Ok(rows)
}

fn open(folder: &Path) -> Result<Connection, OpenError> {
    make(folder)?;
    let path = path(folder);
    let mut db = Connection::open(&path)?;
    db.busy_timeout(BUSY)?;
    check(&db, &path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What is reserved has to outlive also a power cut, else it is given twice.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut db)?;
    Ok(db)
}

fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let application = number(db, "application_id")?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && tables > 0 {
        return Err(StoreError::Foreign(path.to_owned()).into());
    }
    let found = number(db, "user_version")?;
    if found > SCHEMA {
        let (file, known) = (path.to_owned(), SCHEMA);
        return Err(StoreError::Newer { file, found, known }.into());
    }
    Ok(())
}

fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    if number(db, "user_version")? == SCHEMA {
        return Ok(());
    }
    let transaction = db.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
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

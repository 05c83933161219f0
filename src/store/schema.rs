//! The schema of the file, and whose a file is. Knows SQL, and no room.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;
use super::file::OpenError;

/// Marks the file as ours (SQLite, "Application ID"): "room".
const APPLICATION: i64 = 0x726f_6f6d;

/// The schema of this version. With another one comes a step in [`migrate`].
const SCHEMA: i64 = 3;

const TABLES: &str = "
    -- The run of the server that wrote last: one row.
    CREATE TABLE life (
        one   INTEGER PRIMARY KEY CHECK (one = 1),
        id    INTEGER NOT NULL,
        prior INTEGER,          -- the run before it
        given INTEGER NOT NULL, -- the last note (`given.rs`) whose events are here
        clean INTEGER NOT NULL  -- whether that was at its end
    );
    CREATE TABLE rooms (
        id        INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        room      TEXT NOT NULL,
        epoch     TEXT NOT NULL,
        -- The numbers below it may have been given; after a clean end the last one.
        reserved  INTEGER NOT NULL,
        -- All events behind it are the history, but for what a hole has.
        floor     INTEGER NOT NULL,
        -- Below it something was given out that is lost.
        hole      INTEGER NOT NULL,
        -- What was laid down for a room that was created; else nothing.
        token     BLOB,    -- SHA-256 of it
        retain    INTEGER, -- whether it retains its latest event
        history   INTEGER, -- how many events it keeps
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
        length  REAL NOT NULL,    -- ms, 0 where unknown
        airing  BLOB,             -- a UUID; none in old rows of earlier versions
        received INTEGER          -- ms since 1970, by the server's clock
    );
    CREATE INDEX plays_by_start ON plays (started);
    CREATE UNIQUE INDEX plays_by_airing ON plays (airing);
";

/// Whether a file is ours, or nobody's yet.
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let application = number(db, "application_id")?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && tables > 0 {
        return Err(StoreError::Foreign(path.to_owned()).into());
    }
    let found = version(db)?;
    if found > SCHEMA {
        let (file, known) = (path.to_owned(), SCHEMA);
        return Err(StoreError::Newer { file, found, known }.into());
    }
    Ok(())
}

/// What brings the schema of a version to that of the next one.
const STEPS: [(i64, &str); 2] = [
    (
        1,
        "ALTER TABLE rooms ADD COLUMN token BLOB;
         ALTER TABLE rooms ADD COLUMN retain INTEGER;
         ALTER TABLE rooms ADD COLUMN history INTEGER;",
    ),
    (
        2,
        // The last rows get an airing, with the time of the upgrade as their receipt: senders may
        // declare these airings again.
        "ALTER TABLE plays ADD COLUMN airing BLOB;
         ALTER TABLE plays ADD COLUMN received INTEGER;
         CREATE UNIQUE INDEX plays_by_airing ON plays (airing);
         UPDATE plays SET airing = randomblob(16), received = unixepoch() * 1000
             WHERE id > (SELECT max(id) FROM plays) - 16;",
    ),
];

/// Makes the tables where there are none, and brings those of earlier versions up.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let found = version(db)?;
    if found == SCHEMA {
        return Ok(());
    }
    let transaction = db.transaction()?;
    if found == 0 {
        transaction.execute_batch(TABLES)?;
    }
    let missing = STEPS.iter().filter(|(from, _)| found > 0 && *from >= found);
    for (_, step) in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

/// The schema that a file has.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    number(db, "user_version")
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

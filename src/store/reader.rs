//! Read-only connections to the file, beside the writer's. Knows SQLite and the path; no table.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::file::{BUSY, Identity, NAME, path};

/// A read-only connection, and the identity of its file.
pub(super) type Reader = (Connection, Option<Identity>);

/// Reads from the file. Keeps the connection as long as it works and the file is the same.
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

/// Reads from a file in a folder in which SQLite cannot write its helper files.
pub(super) fn read_untouched<T>(
    folder: &Path,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // The last changes may be in SQLite's write-ahead log, which this connection does not read.
    let log = folder.join(format!("{NAME}-wal"));
    if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let path = percent_encoded(&path(folder));
    let uri = format!("file:{path}?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    read(&Connection::open_with_flags(uri, flags)?)
}

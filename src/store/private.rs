//! Files of the server's user alone, whatever the folder's mode and the umask are:
//! what people say in rooms is nobody else's. Knows no file's meaning.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tracing::debug;

/// Read and written by the user, and by nobody else.
pub(super) const MODE: u32 = 0o600;

/// Makes an empty file where there is none, closed to others.
///
/// One that is there is not opened: closing it would end SQLite's locks on it
/// (SQLite, "How To Corrupt An SQLite Database File", 2.2).
pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Closes a file to others that an older version, or a copy, has left open to them.
/// One that is another user's stays as it is.
pub(super) fn close(path: &Path) {
    let is_open = fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0);
    if is_open && let Err(error) = fs::set_permissions(path, Permissions::from_mode(MODE)) {
        debug!(file = %path.display(), %error, "others can read this file");
    }
}

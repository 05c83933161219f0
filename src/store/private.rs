//! Files that only the server's user can read, whatever the mode of the folder and the
//! umask: they contain the messages of rooms. Does not know the meaning of a file.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tracing::debug;

/// Only the user reads and writes the file.
pub(super) const MODE: u32 = 0o600;

/// Creates an empty file that is closed to others, unless the file exists.
///
/// An existing file is not opened: closing it would end SQLite's locks on it
/// (SQLite, "How To Corrupt An SQLite Database File", 2.2).
pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Closes a file to others that an older version or a copy has left open. The file of
/// another user stays as it is.
pub(super) fn close(path: &Path) {
    let is_open = fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0);
    if is_open && let Err(error) = fs::set_permissions(path, Permissions::from_mode(MODE)) {
        debug!(file = %path.display(), %error, "could not set mode 0600: other users may read this file");
    }
}

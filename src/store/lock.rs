//! The folder is one process's at a time: a locked file, which also says whose
//! file the one beside it has to be. Knows no SQLite.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::file::OpenError;
use super::given::Life;
use super::{StoreError, private};

/// The file that is locked as long as a server uses the folder.
const NAME: &str = "lock";

/// The lock of the folder: no other process uses the folder while this value exists.
pub(super) struct Lock {
    file: File,
    /// The life that wrote last, when the lock was taken.
    found: Option<Life>,
    noted: bool,
}

impl Lock {
    /// Takes the folder for this process.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let path = folder.join(NAME);
        let file = options.mode(private::MODE).open(&path)?;
        private::close(&path);
        match file.try_lock() {
            Ok(()) => Ok(Self {
                found: read(&file),
                file,
                noted: false,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Taken(folder.to_owned()).into()),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The life that wrote last, of a folder that can't be locked.
    pub(super) fn noted(folder: &Path) -> Option<Life> {
        read(&File::open(folder.join(NAME)).ok()?)
    }

    /// The life that wrote last, when the lock was taken.
    pub(super) fn found(&self) -> Option<Life> {
        self.found
    }

    /// Whether this server or an earlier one has written a database in this folder.
    pub(super) fn had_database(&self) -> bool {
        self.noted || self.found.is_some()
    }

    /// Whether it is still the folder's lock, and not one that was removed.
    pub(super) fn is_there(&self, folder: &Path) -> bool {
        let held = self.file.metadata().map(|about| (about.dev(), about.ino()));
        let there = fs::metadata(folder.join(NAME)).map(|about| (about.dev(), about.ino()));
        matches!((held, there), (Ok(held), Ok(there)) if held == there)
    }

    /// Notes that this life has written: from now on no older copy fits.
    pub(super) fn note(&mut self, life: Life) -> io::Result<()> {
        if !self.noted {
            self.file
                .write_all_at(format!("{life:016x}\n").as_bytes(), 0)?;
            self.file.sync_data()?;
            self.noted = true;
        }
        Ok(())
    }
}

impl Drop for Lock {
    /// Unlocks the file. Closing it would not be enough while a child process has it open as well.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn read(file: &File) -> Option<Life> {
    let mut note = [0; 16];
    file.read_exact_at(&mut note, 0).ok()?;
    Life::from_str_radix(std::str::from_utf8(&note).ok()?, 16).ok()
}

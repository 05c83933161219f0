//! How many events of durable rooms were given out, noted where `kill -9` does not
//! reach: in memory that outlives the process. What the file has less was lost.
//! Knows no room and no disk: nothing here waits for one.

use std::env;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing::debug;

/// The folder that systemd keeps for a unit, also while it restarts it
/// (systemd.exec(5), `RuntimeDirectory=` and `RuntimeDirectoryPreserve=`).
const RUNTIME: &str = "RUNTIME_DIRECTORY";

/// Memory that looks like a folder (Linux, tmpfs): gone with the machine, or with
/// the container, and then nobody knows what was lost.
const SHARED_MEMORY: &str = "/dev/shm";

/// Which run of the server this is, so that no other's note is taken for it.
pub(super) type Life = u64;

/// What was given out in this life.
pub(super) struct Given {
    life: Life,
    total: u64,
    note: Option<File>,
}

impl Given {
    /// Nothing was given in this life yet.
    pub(super) fn begin(folder: &Path, life: Life) -> Self {
        let open = |path: PathBuf| {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600);
            options.open(path).ok()
        };
        let mut given = Self {
            life,
            total: 0,
            note: path(folder).and_then(open),
        };
        if given.note.is_none() {
            debug!("no memory outlives the process: after a kill nobody knows what was lost");
        }
        given.write();
        given
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Notes one more, before anybody hears of it.
    pub(super) fn one_more(&mut self) {
        self.total += 1;
        self.write();
    }

    /// A note that can't be written is no note: a wrong one would be a lie.
    fn write(&mut self) {
        let [life, total] = [self.life, self.total].map(u64::to_le_bytes);
        let written = match &self.note {
            Some(note) => note.write_all_at(&[life, total].concat(), 0),
            None => return,
        };
        if written.is_err()
            && let Some(note) = self.note.take()
        {
            // Shorter than any note: whoever reads it knows nothing.
            drop(note.set_len(0));
        }
    }
}

/// The last life, and how many were given out in it, if that is known.
pub(super) fn last(folder: &Path) -> Option<(Life, u64)> {
    let mut note = [0; 16];
    File::open(path(folder)?)
        .ok()?
        .read_exact_at(&mut note, 0)
        .ok()?;
    let [noted, total] = [0, 8].map(|at| {
        let number = note[at..at + 8].try_into();
        u64::from_le_bytes(number.expect("eight bytes are eight"))
    });
    Some((noted, total))
}

/// The note of a state folder, whoever runs the server.
fn path(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let runtime = env::var_os(RUNTIME);
    let runtime = runtime.and_then(|all| env::split_paths(&all).next());
    let place = runtime.unwrap_or_else(|| SHARED_MEMORY.into());
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    Some(place.join(format!("roomcast-{:016x}", hasher.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_life_knows_what_was_given_in_the_last() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(last(folder.path()), None);
        let mut given = Given::begin(folder.path(), 7);
        assert_eq!(last(folder.path()), Some((7, 0)));
        given.one_more();
        given.one_more();
        assert_eq!(given.total(), 2);
        drop(given);
        assert_eq!(last(folder.path()), Some((7, 2)));
        assert_eq!(last(other.path()), None);
        drop(Given::begin(folder.path(), 8));
        assert_eq!(last(folder.path()), Some((8, 0)));
        std::fs::remove_file(path(folder.path()).unwrap()).unwrap();
    }
}

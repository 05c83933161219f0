//! The note that the server has sent events of durable rooms, in memory that survives `kill -9`. If
//! the number of the note is not that in the file, some of these events are lost. Knows no room and
//! no disk.

use std::env;
use std::fs::{DirBuilder, File, OpenOptions, symlink_metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use tracing::warn;

/// The folder that systemd keeps for a unit, also while it restarts it
/// (systemd.exec(5), `RuntimeDirectory=` and `RuntimeDirectoryPreserve=`).
const RUNTIME: &str = "RUNTIME_DIRECTORY";

/// Memory that looks like a folder (Linux, tmpfs): gone with the machine, or with
/// the container, and then nobody knows what was lost.
const SHARED_MEMORY: &str = "/dev/shm";

/// Which run of the server this is, so that no other's note is taken for it.
pub(super) type Life = u64;

/// A run of the server, and the number of its last note.
pub(super) type Noted = (Life, u64);

/// The note of this run.
pub(super) struct Given {
    life: Life,
    /// The last number that this run wrote; `None`: the note is still that of the previous run.
    number: Option<u64>,
    note: Option<File>,
}

impl Given {
    /// Opens the note without changing it. Other processes cannot open it while this value exists.
    pub(super) fn begin(folder: &Path, life: Life) -> Self {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let note = place(folder).and_then(|place| {
            make(&place)?;
            let note = open(&place.note, options)?;
            note.try_lock()?;
            Ok(note)
        });
        if let Err(error) = &note {
            warn!(
                %error,
                "no note for recovery after a kill -9: clients will be told recovered:false then"
            );
        }
        Self {
            life,
            number: None,
            note: note.ok(),
        }
    }

    /// Writes a number to the note, unless it has that number or a higher one.
    pub(super) fn note(&mut self, number: u64) {
        if self.number < Some(number) {
            self.number = Some(number);
            self.write(number);
        }
    }

    /// Closes the note, for the next run.
    pub(super) fn end(&mut self) {
        self.note = None;
    }

    /// Writes the note. A failed write removes it, so that recovery never trusts a stale note.
    fn write(&mut self, number: u64) {
        let [life, number] = [self.life, number].map(u64::to_le_bytes);
        let written = match &self.note {
            Some(note) => note.write_all_at(&[life, number].concat(), 0),
            None => return,
        };
        if written.is_err()
            && let Some(note) = self.note.take()
        {
            // Shorter than any note: the next run ignores it.
            drop(note.set_len(0));
        }
    }
}

/// The last run that wrote a note, and its number, if that is known.
pub(super) fn last(folder: &Path) -> Option<Noted> {
    let mut note = [0; 16];
    let mut options = OpenOptions::new();
    options.read(true);
    let place = place(folder).ok()?;
    check(&place).ok()?;
    let file = open(&place.note, options).ok()?;
    file.read_exact_at(&mut note, 0).ok()?;
    let [life, number] = [0, 8].map(|at| {
        let number = note[at..at + 8].try_into();
        u64::from_le_bytes(number.expect("eight bytes are eight"))
    });
    Some((life, number))
}

/// Where the note of a state folder is.
struct Place {
    /// The user's own folder in shared memory, to which others may write as well; `None` if
    /// systemd provides the folder.
    own: Option<PathBuf>,
    note: PathBuf,
}

fn place(folder: &Path) -> io::Result<Place> {
    // Does not access the disk, which may hang.
    let folder = std::path::absolute(folder)?;
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    let name = format!("roomcast-{:016x}", hasher.finish());
    let runtime = env::var_os(RUNTIME);
    let runtime = runtime.and_then(|all| env::split_paths(&all).next());
    Ok(match runtime {
        Some(runtime) => Place {
            own: None,
            note: runtime.join(name),
        },
        None => {
            let own = Path::new(SHARED_MEMORY).join(format!("roomcast-{}", geteuid().as_raw()));
            Place {
                note: own.join(name),
                own: Some(own),
            }
        }
    })
}

/// Creates the user's own folder if it does not exist.
fn make(place: &Place) -> io::Result<()> {
    if let Some(own) = &place.own {
        match DirBuilder::new().mode(0o700).create(own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    check(place)
}

/// Checks that the user's own folder is no link, belongs to the user and is closed to
/// others: another user may have created it, and could replace the files in it.
fn check(place: &Place) -> io::Result<()> {
    let Some(own) = &place.own else { return Ok(()) };
    let about = symlink_metadata(own)?;
    let is_ours = about.is_dir() && about.uid() == geteuid().as_raw() && about.mode() & 0o077 == 0;
    match is_ours {
        true => Ok(()),
        false => Err(foreign(own)),
    }
}

/// Opens a note: a regular file of the user with a single name. Does not follow a link, and
/// does not wait for a FIFO.
fn open(note: &Path, mut options: OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
    let file = options.open(note)?;
    let about = file.metadata()?;
    match about.is_file() && about.uid() == geteuid().as_raw() && about.nlink() == 1 {
        true => Ok(file),
        false => Err(foreign(note)),
    }
}

fn foreign(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} belongs to another user or is open to others",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{
        Permissions, create_dir, hard_link, read_to_string, remove_dir, remove_file,
        set_permissions, write,
    };
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn the_next_life_knows_the_last_note() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(last(folder.path()), None);
        let mut given = Given::begin(folder.path(), 7);
        assert_eq!(last(folder.path()), None);
        Given::begin(folder.path(), 9).note(3);
        assert_eq!(last(folder.path()), None, "the note is another's");
        for (number, noted) in [(0, 0), (1, 1), (2, 2), (1, 2)] {
            given.note(number);
            assert_eq!(last(folder.path()), Some((7, noted)));
        }
        drop(given);
        assert_eq!(last(folder.path()), Some((7, 2)));
        assert_eq!(last(other.path()), None);
        let mut given = Given::begin(folder.path(), 8);
        assert_eq!(
            last(folder.path()),
            Some((7, 2)),
            "until something is noted"
        );
        given.note(0);
        assert_eq!(last(folder.path()), Some((8, 0)));
        std::fs::remove_file(place(folder.path()).unwrap().note).unwrap();
    }

    /// A foreign file in the place of the note is neither written nor read.
    #[test]
    fn a_foreign_file_is_left_alone() {
        let victim = tempfile::NamedTempFile::new_in(SHARED_MEMORY).unwrap();
        let text = "at least sixteen bytes of somebody else";
        type Put = fn(&Path, &Path);
        let put: [(&str, Put); 4] = [
            ("a link", |victim, note| symlink(victim, note).unwrap()),
            ("a second name", |victim, note| {
                hard_link(victim, note).unwrap()
            }),
            ("a FIFO", |_, note| {
                mkfifoat(CWD, note, Mode::from_raw_mode(0o600)).unwrap();
            }),
            ("a folder", |_, note| create_dir(note).unwrap()),
        ];
        for (what, put) in put {
            write(victim.path(), text).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let place = place(folder.path()).unwrap();
            make(&place).unwrap();
            put(victim.path(), &place.note);
            assert_eq!(last(folder.path()), None, "{what}");
            let mut given = Given::begin(folder.path(), 7);
            given.note(1);
            assert_eq!(last(folder.path()), None, "{what}");
            assert_eq!(read_to_string(victim.path()).unwrap(), text, "{what}");
            let removed = remove_file(&place.note);
            removed.or_else(|_| remove_dir(&place.note)).unwrap();
        }
    }

    /// Notes in a folder that others can write to, or that is a link, are not used.
    #[test]
    fn a_folder_that_is_open_to_others_is_not_used() {
        let [outer, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let place = |name: &str| Place {
            own: Some(outer.path().join(name)),
            note: outer.path().join(name).join("note"),
        };
        let [made, open, link] = ["made", "open", "link"].map(place);
        assert!(make(&made).is_ok() && make(&made).is_ok() && check(&made).is_ok());
        let open_folder = outer.path().join("open");
        create_dir(&open_folder).unwrap();
        set_permissions(&open_folder, Permissions::from_mode(0o755)).unwrap();
        symlink(elsewhere.path(), outer.path().join("link")).unwrap();
        for place in [open, link] {
            assert!(make(&place).is_err() && check(&place).is_err());
        }
    }
}

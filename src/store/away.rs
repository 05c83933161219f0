//! Renames a damaged database and the files that belong to it, so that the store can create a new
//! one. Knows the folder; no SQLite.

use std::fs;
use std::io;
use std::path::Path;

use chrono::Utc;

use super::file::{ENDS, NAME};

/// The most damaged databases in the folder, so that a disk that damages each new one does not fill
/// up.
const DAMAGED_MOST: usize = 8;

/// Renames the database of a folder. Returns its new name.
pub(super) fn move_away(folder: &Path) -> io::Result<String> {
    let count = count_damaged(folder)?;
    if count >= DAMAGED_MOST {
        return Err(io::Error::other(format!(
            "the folder holds {count} damaged databases already: check the disk, and remove them"
        )));
    }
    let to = format!("{NAME}.damaged-{}", Utc::now().format("%Y%m%dT%H%M%S%3fZ"));
    for end in ENDS {
        let from = folder.join(format!("{NAME}{end}"));
        match fs::rename(from, folder.join(format!("{to}{end}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(to)
}

/// How many damaged databases are in the folder; their extra files do not count.
fn count_damaged(folder: &Path) -> io::Result<usize> {
    let is_damaged = |file: &fs::DirEntry| {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_extra = ENDS[1..].iter().any(|end| name.ends_with(end));
        name.starts_with(&format!("{NAME}.damaged-")) && !is_extra
    };
    Ok(fs::read_dir(folder)?.flatten().filter(is_damaged).count())
}

//! Warnings about secret files that other users of the machine can read.
//! Looks at file modes, never at the secrets.

use std::fs::metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::layers::Layers;

/// Where systemd puts credentials (systemd.exec(5), `LoadCredential=`). The unit's user
/// reads them by an access control list, which shows up as group permissions in the mode.
const CREDENTIALS: &str = "/run/credentials";

/// Mode bits, first of the group, then of all others: to read a file, and to reach the
/// files in a folder.
const CLASSES: [(u32, u32); 2] = [(0o040, 0o010), (0o004, 0o001)];

impl Layers {
    /// Warns if other users can read a file. The warning names it by `what`: some operators
    /// put the secret itself where its path belongs.
    pub(super) fn warn_of_exposed(&mut self, what: &str, file: &Path) {
        if let Some(mode) = exposed(file) {
            self.warn(format!(
                "{what}: other users of this machine can read the file (mode {mode:04o}): \
                 make it readable to the server's user only, with chmod 600"
            ));
        }
    }
}

/// Returns the mode of a file if other users can read it.
fn exposed(file: &Path) -> Option<u32> {
    let file = file.canonicalize().ok()?;
    let mode_of = |path: &Path| Some(metadata(path).ok()?.permissions().mode() & 0o777);
    let (mode, folder) = (mode_of(&file)?, mode_of(file.parent()?)?);
    let mut classes = CLASSES.iter();
    let is_open = classes.any(|(read, reach)| mode & read != 0 && folder & reach != 0);
    (is_open && !file.starts_with(CREDENTIALS)).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn files_that_other_users_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        write(&file, "x").unwrap();
        for (folder_mode, mode, is_exposed) in [
            (0o755, 0o600, false),
            (0o755, 0o400, false),
            (0o755, 0o640, true),
            (0o755, 0o604, true),
            (0o755, 0o622, false),
            (0o700, 0o644, false),
            (0o750, 0o604, false),
        ] {
            let set = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode));
            set(folder.path(), folder_mode).unwrap();
            set(&file, mode).unwrap();
            let expected = is_exposed.then_some(mode);
            assert_eq!(exposed(&file), expected, "{folder_mode:o} {mode:o}");
        }
        assert_eq!(exposed(&folder.path().join("nothing")), None);
    }
}

//! A private copy: the source file with its journal and its WAL in a temporary folder, where SQLite
//! may roll back the journal or recover the WAL. The source itself stays unchanged.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{sibling, stat, unreadable};
use crate::sqlite::source::write_lock;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copied database that only this process uses.
pub(crate) struct PrivateCopy {
    /// Removed on drop.
    folder: TempDir,
}

impl PrivateCopy {
    /// Copies the database at `source` with its journal and WAL into a new folder in `temp_dir`,
    /// and lets SQLite bring the copy into its last committed state. The caller makes sure that
    /// this process has no connection to the source, and that nobody changed it meanwhile. Refuses
    /// if the copy does not fit, or if SQLite cannot read it.
    pub(crate) fn make(source: &Path, temp_dir: &Path) -> Result<Self> {
        let cannot = |e: io::Error| uncopied(source, temp_dir, &e);
        let folder = tempfile::Builder::new()
            .prefix("migrate-source-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(fs::canonicalize(temp_dir).map_err(cannot)?)
            .map_err(cannot)?;
        let copy = Self { folder };

        // SQLite finds the journal and the WAL by their names, and a super-journal by the path in
        // the journal: the names stay valid in the copy.
        let mut parts = Vec::new();
        for suffix in ["", "-journal", "-wal"] {
            let original = sibling(source, suffix);
            if stat(&original)?.is_some_and(|found| found.len() > 0) {
                let from = File::open(&original).map_err(|e| unreadable(&original, &e))?;
                parts.push((sibling(&copy.path(), suffix), from));
            }
        }
        let (mut remaining, mut bytes) = (Vec::new(), 0);
        for (to, from) in parts {
            let new = File::create_new(&to).map_err(cannot)?;
            // A reflink shares the blocks and needs neither time nor space.
            if rustix::fs::ioctl_ficlone(&new, &from).is_err() {
                bytes += from.metadata().map_err(cannot)?.len();
                remaining.push((new, from));
            }
        }
        let available = available(copy.folder()).map_err(cannot)?;
        refuse_lack_of_space(source, temp_dir, bytes, available)?;
        for (mut new, mut from) in remaining {
            io::copy(&mut from, &mut new).map_err(cannot)?;
        }
        write_lock::recover(&copy.path()).map_err(|e| write_lock::refusal(source, &e))?;
        Ok(copy)
    }

    /// The path of the copied database.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("source.db")
    }

    /// The folder of the copy.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Refuses a copy of `bytes` into a file system with `available` bytes.
fn refuse_lack_of_space(source: &Path, temp_dir: &Path, bytes: u64, available: u64) -> Result<()> {
    let why = format!("the copy takes {bytes} bytes, but only {available} bytes are free");
    if bytes <= available { Ok(()) } else { Err(uncopied(source, temp_dir, &why)) }
}

fn uncopied(source: &Path, temp_dir: &Path, why: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{} can be read only from a private copy, and the copy in {} failed",
        source.display(),
        temp_dir.display()
    );
    Error::refused(message).caused_by(why).hint("give a folder with enough space: --temp-dir DIR")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_copy_that_does_not_fit_is_refused_with_the_option_that_helps() {
        let check =
            |bytes| refuse_lack_of_space(Path::new("/a.db"), Path::new("/tmp"), bytes, 4096).err();
        assert!(check(4096).is_none());
        let error = check(4097).unwrap();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.hints()[0].contains("--temp-dir"), "{:?}", error.hints());
        assert!(error.to_string().contains("4097"), "{error}");
    }
}

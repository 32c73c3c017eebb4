//! A private copy: a source's file with its journal and its log in a folder of our own, where
//! SQLite may roll back and recover what it may not in the source. The folder is removed at the
//! end.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{sibling, stat, unreadable};
use crate::sqlite::source::write_lock;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A database that only this process knows.
pub(crate) struct PrivateCopy {
    /// Removed when dropped.
    folder: TempDir,
}

impl PrivateCopy {
    /// Copies the database at `source` with what lies beside it into a new folder of `temp_dir`
    /// and lets SQLite bring the copy into its last committed state. The caller makes sure that
    /// this process has no connection to the source, and that nobody changed it meanwhile.
    ///
    /// # Errors
    /// Refuses where the copy does not fit, and what SQLite cannot read.
    pub(crate) fn make(source: &Path, temp_dir: &Path) -> Result<Self> {
        let cannot = |e: io::Error| uncopied(source, temp_dir, &e);
        let folder = tempfile::Builder::new()
            .prefix("migrate-source-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(fs::canonicalize(temp_dir).map_err(cannot)?)
            .map_err(cannot)?;
        let copy = Self { folder };

        // SQLite knows the journal and the log by their names, and a super-journal by the path
        // that the journal holds: each keeps its meaning in the copy.
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
            // A reflink shares the blocks: no time and no space.
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

    /// Where the copied database is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("source.db")
    }

    /// The folder that holds it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Refuses a copy of `bytes` into a file system with `available` bytes.
fn refuse_lack_of_space(source: &Path, temp_dir: &Path, bytes: u64, available: u64) -> Result<()> {
    if bytes <= available {
        return Ok(());
    }
    Err(uncopied(
        source,
        temp_dir,
        &format!("it takes {bytes} bytes, and only {available} are available there"),
    ))
}

fn uncopied(source: &Path, temp_dir: &Path, why: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{} can only be read from a private copy, and {} cannot take it",
        source.display(),
        temp_dir.display()
    );
    Error::refused(message).caused_by(why).hint("name a folder with enough space: --temp-dir DIR")
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

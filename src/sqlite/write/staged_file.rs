//! The staged file that replaces the target file.
//!
//! A new database is written as `NAME.migrate-partial` next to the target. The marker file
//! `NAME.migrate-run` names the run and stays locked while the run lives. So the next run knows that
//! a staged file was left by a dead run, and removes it. The staged file is renamed in one step, after
//! it was finished, verified and synced.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::sibling;
use crate::sqlite::write::target_file::TargetFile;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The first words of the marker file.
const MARK: &str = "migrate run ";

/// A staged file. Dropping it removes the file and its marker.
pub(crate) struct StagedFile {
    target: TargetFile,
    /// Locked while the run lives.
    marker: File,
}

impl StagedFile {
    /// Removes the files of a dead run and creates an empty staged file. Refuses if another run is
    /// writing the target, or if files with these names are not ours.
    pub(crate) fn create(target: &TargetFile) -> Result<Self> {
        // Checked before the first write, and again before the rename.
        target.make_replaceable(Error::refused)?;
        let cannot = |error: io::Error| {
            Error::failed(format!("cannot write next to {}", target.path.display()))
                .caused_by(error)
        };
        let (path, staged) = (target.marker(), target.staged());
        let mut marker = loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(cannot)?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(Error::refused(format!(
                    "another run of migrate is writing {}",
                    target.path.display()
                ))
                .hint("wait until it ends, or stop it"));
            }
            // The previous holder of the lock may have removed the file meanwhile.
            let same = fs::metadata(&path)
                .and_then(|existing| Ok((existing.dev(), existing.ino(), file.metadata()?)))
                .is_ok_and(|(dev, ino, ours)| (dev, ino) == (ours.dev(), ours.ino()));
            if same {
                break file;
            }
        };
        let mut text = Vec::new();
        marker.read_to_end(&mut text).map_err(cannot)?;
        let ours = text.starts_with(MARK.as_bytes());
        let foreign = |file: &Path| {
            Err(Error::refused(format!("{} already exists", file.display()))
                .caused_by("no run of migrate created it")
                .hint("inspect the file, and move it to another folder"))
        };
        if !text.is_empty() && !ours {
            return foreign(&path);
        }
        if staged.symlink_metadata().is_ok() && !ours {
            let _ = fs::remove_file(&path);
            return foreign(&staged);
        }
        remove(&staged).map_err(cannot)?;
        let created = Self { target: target.clone(), marker };
        let create = || -> io::Result<()> {
            let mut marker = &created.marker;
            let seconds = jiff::Timestamp::now().as_second();
            marker.set_len(0)?;
            marker.rewind()?;
            writeln!(marker, "{MARK}{} {seconds}", std::process::id())?;
            marker.sync_all()?;
            // Only the owner may read the rows until the final owner and mode are set.
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
            File::open(target.folder())?.sync_all()
        };
        create().map_err(cannot)?;
        Ok(created)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.target.staged()
    }

    /// Renames the finished file to the target's name. Returns notes on properties that the file
    /// could not inherit. Errors: an old file is then unchanged.
    pub(crate) fn publish(self) -> Result<Vec<String>> {
        let Self { target, .. } = &self;
        let (staged, path) = (target.staged(), &target.path);
        let cannot = |error: io::Error| {
            Error::failed(format!("cannot rename the new database to {}", path.display()))
                .caused_by(error)
        };
        let mut notes = Vec::new();
        if target.wal {
            let set = || -> rusqlite::Result<String> {
                let connection = Connection::open(&staged)?;
                connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            };
            set().map_err(|error| {
                Error::failed("cannot set the journal mode of the new database").caused_by(error)
            })?;
        }
        let file = File::open(&staged).map_err(cannot)?;
        let now = file.metadata().map_err(cannot)?;
        let (user, group) = target.owner;
        if (now.uid(), now.gid()) != target.owner
            && let Err(error) = chown(&staged, Some(user), Some(group))
        {
            notes.push(format!(
                "the new file belongs to user {}, not to user {user}: {error}",
                now.uid()
            ));
        }
        file.set_permissions(Permissions::from_mode(target.mode)).map_err(cannot)?;
        file.sync_all().map_err(cannot)?;
        drop(file);
        target.make_replaceable(Error::failed)?;
        fs::rename(&staged, path).map_err(cannot)?;
        File::open(target.folder()).and_then(|folder| folder.sync_all()).map_err(cannot)?;
        Ok(notes)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // The marker goes last: it shows whose the staged file is.
        if remove(&self.target.staged()).is_ok() {
            let _ = fs::remove_file(self.target.marker());
        }
    }
}

/// Removes a database with its journal, WAL and shm files.
fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["-journal", "-wal", "-shm", ""] {
        match fs::remove_file(sibling(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_file_is_removed_with_its_run_and_that_of_a_dead_run_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = TargetFile::inspect(&folder.path().join("app.db"), 0o640).unwrap();
        let staged = StagedFile::create(&target).unwrap();
        assert!(target.staged().exists() && target.marker().exists());
        let refusal = StagedFile::create(&target).map(|_| ()).unwrap_err();
        assert!(refusal.message().contains("another run"), "{refusal}");
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A dead run leaves both, and no lock.
        fs::write(target.staged(), "rows").unwrap();
        fs::write(target.marker(), format!("{MARK}1 2")).unwrap();
        let again = StagedFile::create(&target).unwrap();
        assert_eq!(fs::metadata(target.staged()).unwrap().len(), 0);
        again.publish().unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0], target.path);
        assert_eq!(fs::metadata(&target.path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn foreign_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = TargetFile::inspect(&folder.path().join("app.db"), 0o640).unwrap();
        fs::write(target.staged(), "precious").unwrap();
        assert!(StagedFile::create(&target).is_err());
        assert_eq!(fs::read_to_string(target.staged()).unwrap(), "precious");
        assert!(!target.marker().exists());
        let text = folder.path().join("notes.txt");
        fs::write(&text, "these are twenty and more letters").unwrap();
        assert!(TargetFile::inspect(&text, 0o640).unwrap_err().message().contains("notes.txt"));
        assert!(TargetFile::inspect(folder.path(), 0o640).is_err());
        assert!(TargetFile::inspect(&folder.path().join("none/app.db"), 0o640).is_err());
    }
}

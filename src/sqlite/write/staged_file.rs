//! The staged file that replaces the target file.
//!
//! A new database is written as `NAME.migrate-partial` next to the target. The marker file
//! `NAME.migrate-run` names the run and stays locked while the run lives. So the next run knows that
//! a staged file was left by a dead run, and removes it. The staged file is renamed in one step, after
//! it was finished, verified and synced.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{FileState, sibling};
use crate::sqlite::write::target_file::{KEPT_INFIX, TargetFile};
use rusqlite::Connection;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The first words of the marker file.
const MARK: &str = "migrate run ";
/// The time between two attempts to find a free name for a kept file.
const NAME_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A staged file. Dropping it removes the file and its marker.
pub(crate) struct StagedFile {
    target: TargetFile,
    /// The replaced file is kept.
    keeps: bool,
    /// The state of the file to replace before the first write.
    before: Option<FileState>,
    /// Locked while the run lives.
    marker: File,
}

impl StagedFile {
    /// Removes the files of a dead run and creates an empty staged file. Refuses if another run is
    /// writing the target, if files with these names are not ours, or if the replaced file is to be
    /// kept and a hard link to it cannot be created.
    pub(crate) fn create(target: &TargetFile, keeps: bool) -> Result<Self> {
        // Checked before the first write, and again before the rename.
        target.check_unchanged()?;
        target.make_replaceable(Error::refused)?;
        let before = target.state();
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
        let keeps = keeps && target.is_occupied();
        let created = Self { target: target.clone(), keeps, before, marker };
        let mark = || -> io::Result<()> {
            let mut marker = &created.marker;
            let seconds = jiff::Timestamp::now().as_second();
            marker.set_len(0)?;
            marker.rewind()?;
            writeln!(marker, "{MARK}{} {seconds}", std::process::id())?;
            marker.sync_all()
        };
        // A staged name next to an empty marker would belong to nobody.
        mark().map_err(cannot)?;
        if keeps {
            let linked = fs::hard_link(&target.path, &staged);
            let linked = linked.and_then(|()| fs::remove_file(&staged));
            linked.map_err(|error| {
                Error::refused(format!("cannot keep the replaced file {}", target.path.display()))
                    .caused_by(error)
                    .hint("run as the owner of the file, or give another file with --to")
                    .hint("--backup DIR with --no-keep copies the file and does not keep it")
            })?;
        }
        let create = || -> io::Result<()> {
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

    /// Renames the finished file to the target's name. Returns notes on the kept file, and on
    /// properties that the new file could not inherit. Errors: an old file is then unchanged.
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
        // --no-keep is the consent to remove the file that was checked, and nothing else.
        let is_same = match (&self.before, target.state()) {
            (Some(before), Some(now)) => before.same_content(&now),
            _ => true,
        };
        let kept = if self.keeps || !is_same { keep(path)? } else { None };
        if let Err(error) = rename(&staged, path, target.is_occupied()) {
            if let Some(kept) = &kept {
                // The old file still has its name.
                let _ = fs::remove_file(kept);
            }
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => target.created_meanwhile(Error::failed),
                _ => cannot(error),
            });
        }
        notes.extend(match kept {
            Some(kept) if is_same => Some(format!("the replaced file is kept: {}", kept.display())),
            Some(kept) => Some(format!(
                "the replaced file changed during the run and is kept: {}",
                kept.display()
            )),
            None => target.is_occupied().then(|| "the replaced file was removed".to_owned()),
        });
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

/// Renames `from` to `to`. A file with content is replaced only if `replaces`.
fn rename(from: &Path, to: &Path, replaces: bool) -> io::Result<()> {
    if !replaces {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) if fs::metadata(to)?.len() == 0 => {}
            // The file system or the kernel does not have this flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return Ok(result?),
        }
    }
    fs::rename(from, to)
}

/// Creates a hard link to the file, whose name has the current time; `None` if there is no file. The
/// rename of the new file then removes the original name.
fn keep(path: &Path) -> Result<Option<PathBuf>> {
    loop {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let kept = sibling(path, &format!("{KEPT_INFIX}{time}"));
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A file was kept in the same second.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                thread::sleep(NAME_POLL_INTERVAL);
            }
            Err(error) => {
                return Err(Error::failed(format!(
                    "cannot keep the replaced file {}",
                    path.display()
                ))
                .caused_by(error));
            }
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
        let staged = StagedFile::create(&target, true).unwrap();
        assert!(target.staged().exists() && target.marker().exists());
        let refusal = StagedFile::create(&target, true).map(|_| ()).unwrap_err();
        assert!(refusal.message().contains("another run"), "{refusal}");
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A dead run leaves both, and no lock.
        fs::write(target.staged(), "rows").unwrap();
        fs::write(target.marker(), format!("{MARK}1 2")).unwrap();
        let again = StagedFile::create(&target, true).unwrap();
        assert_eq!(fs::metadata(target.staged()).unwrap().len(), 0);
        again.publish().unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0], target.path);
        assert_eq!(fs::metadata(&target.path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_that_appears_before_the_rename_is_replaced_only_if_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (new, path) = (folder.path().join("new"), folder.path().join("app.db"));
        fs::write(&new, "new").unwrap();
        fs::write(&path, "precious").unwrap();
        let error = rename(&new, &path, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::write(&path, "").unwrap();
        rename(&new, &path, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::write(&new, "newer").unwrap();
        rename(&new, &path, true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    }

    #[test]
    fn two_files_that_are_replaced_in_one_second_are_both_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        fs::write(&path, "rows").unwrap();
        // The names of this second and of the next ones are taken.
        let now = jiff::Timestamp::now();
        let taken = |seconds| {
            let time = (now + jiff::SignedDuration::from_secs(seconds)).strftime("%Y%m%dT%H%M%SZ");
            sibling(&path, &format!("{KEPT_INFIX}{time}"))
        };
        let taken = [0, 1].map(taken);
        taken.iter().for_each(|name| fs::write(name, "older").unwrap());
        let kept = keep(&path).unwrap().unwrap();
        assert!(!taken.contains(&kept));
        assert_eq!(fs::read_to_string(&kept).unwrap(), "rows");
        for name in &taken {
            assert_eq!(fs::read_to_string(name).unwrap(), "older");
        }
    }

    #[test]
    fn foreign_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = TargetFile::inspect(&folder.path().join("app.db"), 0o640).unwrap();
        fs::write(target.staged(), "precious").unwrap();
        assert!(StagedFile::create(&target, true).is_err());
        assert_eq!(fs::read_to_string(target.staged()).unwrap(), "precious");
        assert!(!target.marker().exists());
        let text = folder.path().join("notes.txt");
        fs::write(&text, "these are twenty and more letters").unwrap();
        assert!(TargetFile::inspect(&text, 0o640).unwrap_err().message().contains("notes.txt"));
        assert!(TargetFile::inspect(folder.path(), 0o640).is_err());
        assert!(TargetFile::inspect(&folder.path().join("none/app.db"), 0o640).is_err());
    }
}

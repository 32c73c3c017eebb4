//! The target file: what is there before, and the partial file that takes its place when it is
//! whole.
//!
//! A new database grows in `NAME.migrate-partial` beside its final name. A marker beside it,
//! `NAME.migrate-run`, names the run and is locked as long as that lives; so the next run knows
//! that what it finds is its own and dead, and removes it. Only a file that was finished, verified
//! and is on the disk is given the final name, in one step.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::sibling;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page size of a new database, in bytes: SQLite's own default.
const PAGE_SIZE: u32 = 4096;
/// How the marker begins.
const MARK: &str = "migrate run ";
/// How long to wait for others to let go of a database that is to be replaced.
const WAIT: Duration = Duration::from_secs(5);

/// What stands under the target's name before the run, and what the new file takes over from it.
#[derive(Debug, Clone)]
pub(crate) struct TargetFile {
    /// The file, symbolic links resolved.
    pub(crate) path: PathBuf,
    /// The tables that are in it.
    pub(crate) tables: Vec<String>,
    /// Bytes of a page.
    pub(crate) page_size: u32,
    /// The journal is a write-ahead log.
    wal: bool,
    /// There is a database under the name already.
    occupied: bool,
    owner: (u32, u32),
    mode: u32,
}

impl TargetFile {
    /// Looks at what is under the name `path`. An absent file and one of zero bytes are empty; one
    /// that is made where there is none is given `mode`.
    ///
    /// # Errors
    /// Refused where there is something else than a SQLite database, or no folder.
    pub(crate) fn look(path: &Path, mode: u32) -> Result<Self> {
        let refused = |cause: &dyn std::fmt::Display| {
            Error::refused(format!("cannot use {} as target", path.display())).caused_by(cause)
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Self::absent(path, mode)
                    .map_err(|error| refused(&error).hint("name a file in a folder that exists"));
            }
            Err(error) => return Err(refused(&error)),
        };
        if !metadata.is_file() {
            return Err(refused(&"it is no file").hint("name a file, which need not exist"));
        }
        let mut place = Self {
            path: fs::canonicalize(path).map_err(|error| refused(&error))?,
            tables: Vec::new(),
            page_size: PAGE_SIZE,
            wal: false,
            occupied: false,
            owner: (metadata.uid(), metadata.gid()),
            mode: metadata.mode() & 0o7777,
        };
        if metadata.len() == 0 {
            return Ok(place);
        }
        let mut header = [0; 20];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
        if read.is_err() || !header.starts_with(b"SQLite format 3\0") {
            return Err(refused(&"it holds something that is no SQLite database")
                .hint("name another file, or remove this one yourself"));
        }
        // Offsets 16 and 18 of the header (<https://sqlite.org/fileformat2.html>, section 1.3).
        place.page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        place.wal = header[18] == 2;
        place.occupied = true;
        place.tables = tables(&place.path).map_err(|error| {
            refused(&error).hint("open it once with sqlite3, which mends what was interrupted")
        })?;
        Ok(place)
    }

    fn absent(path: &Path, mode: u32) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = fs::canonicalize(folder)?;
        let metadata = fs::metadata(&folder)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        Ok(Self {
            path: folder.join(name),
            tables: Vec::new(),
            page_size: PAGE_SIZE,
            wal: false,
            occupied: false,
            owner: (metadata.uid(), metadata.gid()),
            mode,
        })
    }

    /// There is a database under the name already.
    pub(crate) fn is_occupied(&self) -> bool {
        self.occupied
    }

    /// The name of the partial file.
    pub(crate) fn partial(&self) -> PathBuf {
        sibling(&self.path, ".migrate-partial")
    }

    fn marker(&self) -> PathBuf {
        sibling(&self.path, ".migrate-run")
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Sees to it that the database under the name is complete without a log or journal beside it,
    /// and that nobody uses it: what lies beside a file would be taken for its successor's.
    fn settle(&self, kind: fn(String) -> Error) -> Result<()> {
        if !self.occupied || !self.path.exists() {
            return Ok(());
        }
        let settle = || -> rusqlite::Result<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(WAIT)?;
            if self.wal {
                let _: String =
                    connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
            }
            connection.execute_batch("BEGIN EXCLUSIVE; ROLLBACK")
        };
        settle().map_err(|error| {
            kind(format!("{} cannot be replaced", self.path.display()))
                .caused_by(error)
                .hint("stop whatever uses it; it is as it was")
        })
    }
}

/// The names of the tables of a database.
fn tables(path: &Path) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(WAIT)?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// A partial file; it and its marker are removed when this is dropped.
pub(crate) struct StagedFile {
    place: TargetFile,
    /// Locked as long as the run lives.
    marker: File,
}

impl StagedFile {
    /// Makes an empty partial file, after what a dead run left was removed.
    ///
    /// # Errors
    /// Refused where another run is at work, or files of those names are not ours.
    pub(crate) fn begin(place: &TargetFile) -> Result<Self> {
        // Asked before the first write, and again before the last.
        place.settle(Error::refused)?;
        let cannot = |error: io::Error| {
            Error::failed(format!("cannot write sibling {}", place.path.display())).caused_by(error)
        };
        let (path, partial) = (place.marker(), place.partial());
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
                    "another run of migrate is making {}",
                    place.path.display()
                ))
                .hint("wait for its end, or end it"));
            }
            // Whoever held the lock before may have removed the file since.
            let same = fs::metadata(&path)
                .and_then(|there| Ok((there.dev(), there.ino(), file.metadata()?)))
                .is_ok_and(|(dev, ino, ours)| (dev, ino) == (ours.dev(), ours.ino()));
            if same {
                break file;
            }
        };
        let mut text = Vec::new();
        marker.read_to_end(&mut text).map_err(cannot)?;
        let ours = text.starts_with(MARK.as_bytes());
        let foreign = |file: &Path| {
            Err(Error::refused(format!("{} is in the way", file.display()))
                .caused_by("it was not left by a run of migrate")
                .hint("look at it, and move it away"))
        };
        if !text.is_empty() && !ours {
            return foreign(&path);
        }
        if partial.symlink_metadata().is_ok() && !ours {
            let _ = fs::remove_file(&path);
            return foreign(&partial);
        }
        remove(&partial).map_err(cannot)?;
        let begun = Self { place: place.clone(), marker };
        let made = || -> io::Result<()> {
            let mut marker = &begun.marker;
            let moment = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            marker.set_len(0)?;
            marker.rewind()?;
            writeln!(marker, "{MARK}{} {moment}", std::process::id())?;
            marker.sync_all()?;
            // What the rows are is nobody else's business before it is known whose they will be.
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            File::open(place.folder())?.sync_all()
        };
        made().map_err(cannot)?;
        Ok(begun)
    }

    /// The partial file.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.partial()
    }

    /// Puts the finished file in its place. What could not be done for it is told.
    ///
    /// # Errors
    /// The old file, if there was one, is then still there.
    pub(crate) fn publish(self) -> Result<Vec<String>> {
        let Self { place, .. } = &self;
        let (partial, path) = (place.partial(), &place.path);
        let cannot = |error: io::Error| {
            Error::failed(format!("cannot put the new database in the place of {}", path.display()))
                .caused_by(error)
        };
        let mut notes = Vec::new();
        if place.wal {
            let set = || -> rusqlite::Result<String> {
                let connection = Connection::open(&partial)?;
                connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            };
            set().map_err(|error| {
                Error::failed("cannot give the new database its journal mode").caused_by(error)
            })?;
        }
        let file = File::open(&partial).map_err(cannot)?;
        let now = file.metadata().map_err(cannot)?;
        let (user, group) = place.owner;
        if (now.uid(), now.gid()) != place.owner
            && let Err(error) = chown(&partial, Some(user), Some(group))
        {
            notes.push(format!(
                "the new file belongs to user {} and not to {user}: {error}",
                now.uid()
            ));
        }
        file.set_permissions(Permissions::from_mode(place.mode)).map_err(cannot)?;
        file.sync_all().map_err(cannot)?;
        drop(file);
        place.settle(Error::failed)?;
        fs::rename(&partial, path).map_err(cannot)?;
        File::open(place.folder()).and_then(|folder| folder.sync_all()).map_err(cannot)?;
        Ok(notes)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // The marker goes last: without it nobody would know whose the partial file is.
        if remove(&self.place.partial()).is_ok() {
            let _ = fs::remove_file(self.place.marker());
        }
    }
}

/// Removes a database with what SQLite may have put beside it.
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
    fn a_partial_file_is_gone_with_its_run_and_one_of_a_dead_run_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let place = TargetFile::look(&folder.path().join("app.db"), 0o640).unwrap();
        let partial = StagedFile::begin(&place).unwrap();
        assert!(place.partial().exists() && place.marker().exists());
        let refusal = StagedFile::begin(&place).map(|_| ()).unwrap_err();
        assert!(refusal.message().contains("another run"), "{refusal}");
        drop(partial);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A dead run leaves both, and no lock.
        fs::write(place.partial(), "rows").unwrap();
        fs::write(place.marker(), format!("{MARK}1 2")).unwrap();
        let again = StagedFile::begin(&place).unwrap();
        assert_eq!(fs::metadata(place.partial()).unwrap().len(), 0);
        again.publish().unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0], place.path);
        assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn files_that_are_not_ours_stay() {
        let folder = tempfile::tempdir().unwrap();
        let place = TargetFile::look(&folder.path().join("app.db"), 0o640).unwrap();
        fs::write(place.partial(), "precious").unwrap();
        assert!(StagedFile::begin(&place).is_err());
        assert_eq!(fs::read_to_string(place.partial()).unwrap(), "precious");
        assert!(!place.marker().exists());
        let text = folder.path().join("notes.txt");
        fs::write(&text, "these are twenty and more letters").unwrap();
        assert!(TargetFile::look(&text, 0o640).unwrap_err().message().contains("notes.txt"));
        assert!(TargetFile::look(folder.path(), 0o640).is_err());
        assert!(TargetFile::look(&folder.path().join("none/app.db"), 0o640).is_err());
    }
}

//! The target file before the run.

use crate::error::{Error, Result, plural};
use crate::schema::ObjectKind;
use crate::schema::names::quote;
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::source::fingerprint::{FileState, decode_page_size, sibling};
use crate::sqlite::write::stale_log;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page size of a new database in bytes, SQLite's default.
const PAGE_SIZE: u32 = 4096;
/// The part of the name of a kept file between the target's name and the time in UTC.
pub(crate) const KEPT_INFIX: &str = ".replaced-";
/// How long to wait for other processes to release a database that will be replaced.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The target file before the run, with the properties that the new file inherits.
#[derive(Debug, Clone)]
pub(crate) struct TargetFile {
    /// The path, with symbolic links resolved.
    pub(crate) path: PathBuf,
    /// Its tables and views.
    pub(crate) objects: Vec<ExistingObject>,
    /// The page size in bytes.
    pub(crate) page_size: u32,
    /// The file is in WAL mode.
    pub(crate) wal: bool,
    /// The file exists and is not empty.
    occupied: bool,
    /// Its size in bytes, with its WAL.
    size: u64,
    /// Its properties.
    pub(crate) properties: FileProperties,
    /// Its device and inode.
    inode: (u64, u64),
    pub(crate) owner: (u32, u32),
    pub(crate) mode: u32,
}

/// A table or view of the target file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExistingObject {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    /// The rows of a table, if they were counted.
    pub(crate) rows: Option<u64>,
}

impl TargetFile {
    /// Inspects the file at `path`, which may be missing or empty. A missing file will be created
    /// with `mode`. Refuses a file that is not a SQLite database, and a missing folder.
    pub(crate) fn inspect(path: &Path, mode: u32) -> Result<Self> {
        let refused = |cause: &dyn std::fmt::Display| {
            Error::refused(format!("cannot use {} as the target", path.display())).caused_by(cause)
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Self::missing(path, mode)
                    .map_err(|error| refused(&error).hint("give a file in an existing folder"));
            }
            Err(error) => return Err(refused(&error)),
        };
        if !metadata.is_file() {
            return Err(
                refused(&"not a regular file").hint("give the path of a file; it may be missing")
            );
        }
        let path = fs::canonicalize(path).map_err(|error| refused(&error))?;
        let mut target = Self::empty(path, &metadata, metadata.mode() & 0o7777);
        if metadata.len() == 0 {
            return Ok(target);
        }
        let mut header = [0; 20];
        let read = File::open(&target.path).and_then(|mut file| file.read_exact(&mut header));
        if read.is_err() || !header.starts_with(b"SQLite format 3\0") {
            return Err(
                refused(&"not a SQLite database").hint("give another file, or move this one away")
            );
        }
        // Offsets 16 and 18 of the header (<https://sqlite.org/fileformat2.html>, section 1.3).
        target.page_size = decode_page_size([header[16], header[17]]);
        target.wal = header[18] == 2;
        target.occupied = true;
        let unusable = |error: &dyn std::fmt::Display| {
            refused(error).hint("open it once with sqlite3 to recover it, then run again")
        };
        let connection = open_to_read(&target.path).map_err(|error| unusable(&error))?;
        target.objects = objects(&connection).map_err(|error| unusable(&error))?;
        target.properties = FileProperties::read(&connection).map_err(|error| unusable(&error))?;
        target.size = size(&connection).map_err(|error| unusable(&error))?;
        Ok(target)
    }

    fn missing(path: &Path, mode: u32) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
        let metadata = fs::metadata(&folder)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        Ok(Self::empty(folder.join(name), &metadata, mode))
    }

    /// A target without content; `metadata` has its owner.
    fn empty(path: PathBuf, metadata: &Metadata, mode: u32) -> Self {
        let owner = (metadata.uid(), metadata.gid());
        let (objects, page_size, wal, occupied) = (Vec::new(), PAGE_SIZE, false, false);
        let inode = (metadata.dev(), metadata.ino());
        let properties = FileProperties::default();
        Self { path, objects, page_size, wal, occupied, size: 0, properties, inode, owner, mode }
    }

    /// Whether the file exists and is not empty.
    pub(crate) fn is_occupied(&self) -> bool {
        self.occupied
    }

    /// Counts the rows of its tables, except virtual tables of unknown modules.
    pub(crate) fn count_rows(&mut self) {
        let Ok(connection) = open_to_read(&self.path) else { return };
        for table in self.objects.iter_mut().filter(|object| object.kind == ObjectKind::Table) {
            let sql = format!("SELECT count(*) FROM {}", quote(&table.name));
            let rows = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
            table.rows = rows.ok().and_then(|rows| u64::try_from(rows).ok());
        }
    }

    /// The note that the file will be kept or removed when it is replaced, and the space that it takes.
    pub(crate) fn note_on_keeping(&self, keeps: bool) -> Option<String> {
        let (path, size) = (self.path.display(), plural(self.size, "byte", "bytes"));
        self.occupied.then(|| match keeps {
            true => format!(
                "the replaced file ({size}) is kept as {path}{KEPT_INFIX}TIME; \
                 --no-keep removes it after a match"
            ),
            false => format!("the replaced file ({size}) is removed after a match (--no-keep)"),
        })
    }

    /// The file's current state; `None` if it is missing.
    pub(crate) fn state(&self) -> Option<FileState> {
        fs::metadata(&self.path).ok().map(|metadata| FileState::from_metadata(&metadata))
    }

    /// Refuses if the plan was made for another file, or for other tables in it.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let Some(now) = self.state().filter(|_| self.occupied) else { return Ok(()) };
        let names = |objects: &[ExistingObject]| -> Vec<String> {
            objects.iter().map(|object| object.name.clone()).collect()
        };
        let read = open_to_read(&self.path).and_then(|connection| objects(&connection));
        if (now.device, now.inode) == self.inode
            && read.is_ok_and(|objects| names(&objects) == names(&self.objects))
        {
            return Ok(());
        }
        let what = format!("{} has changed since the plan was made", self.path.display());
        Err(Error::refused(what)
            .caused_by("another process replaced it, or created or dropped tables")
            .hint("run again"))
    }

    /// The path of the staged file.
    pub(crate) fn staged(&self) -> PathBuf {
        sibling(&self.path, ".migrate-partial")
    }

    pub(crate) fn marker(&self) -> PathBuf {
        sibling(&self.path, ".migrate-run")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Makes the existing database complete without a WAL or journal, and makes sure that no other
    /// process uses it. Refuses, with an error of `kind`, if SQLite would apply a log to the new file.
    pub(crate) fn make_replaceable(&self, kind: fn(String) -> Error) -> Result<()> {
        // SQLite removes the logs of an empty database: it may not open one here.
        let occupied = fs::metadata(&self.path).is_ok_and(|now| now.len() > 0);
        if occupied && !self.occupied {
            return Err(self.created_meanwhile(kind));
        }
        if occupied {
            self.complete(kind)?;
        }
        stale_log::refuse(&self.path, occupied, kind)
    }

    /// The error if another process created the file.
    pub(crate) fn created_meanwhile(&self, kind: fn(String) -> Error) -> Error {
        kind(format!("{} was created during the run", self.path.display()))
            .caused_by("another process writes to it")
            .hint("stop that process, then run again")
    }

    /// Applies the logs of the existing database. Its journal mode is unchanged.
    fn complete(&self, kind: fn(String) -> Error) -> Result<()> {
        let checkpoint = |locking_mode| -> rusqlite::Result<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(LOCK_TIMEOUT)?;
            connection.execute_batch(&format!(
                "PRAGMA locking_mode = {locking_mode}; BEGIN EXCLUSIVE; ROLLBACK"
            ))
        };
        // In WAL mode, only the locking mode EXCLUSIVE excludes idle connections, and only the mode
        // NORMAL removes the -shm file.
        let checkpoint = || checkpoint("EXCLUSIVE").and_then(|()| checkpoint("NORMAL"));
        checkpoint().map_err(|error| {
            kind(format!("cannot replace {}", self.path.display()))
                .caused_by(error)
                .hint("stop every process that uses it; the file is unchanged")
        })
    }
}

/// The tables and views of a database.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<ExistingObject>> {
    let sql = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
    let object = |row: &rusqlite::Row<'_>| {
        let kind = match row.get::<_, String>(0)?.as_str() {
            "table" => ObjectKind::Table,
            _ => ObjectKind::View,
        };
        Ok(ExistingObject { kind, name: row.get(1)?, rows: None })
    };
    connection.prepare(sql)?.query_map([], object)?.collect()
}

/// The bytes of a database, with the pages that only its WAL has.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let size: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(size.unsigned_abs())
}

fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_in_wal_mode_is_completed_and_stays_in_wal_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let user = Connection::open(&path).unwrap();
        user.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        // The WAL holds the table.
        let files = ["", "-wal", "-shm"].map(|suffix| fs::read(sibling(&path, suffix)).unwrap());
        drop(user);
        for (file, suffix) in files.iter().zip(["", "-wal", "-shm"]) {
            fs::write(sibling(&path, suffix), file).unwrap();
        }
        let target = TargetFile::inspect(&path, 0o640).unwrap();
        assert!(target.wal);
        target.make_replaceable(Error::refused).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let target = TargetFile::inspect(&path, 0o640).unwrap();
        assert!(target.wal);
        assert_eq!(target.objects.len(), 1);
    }

    #[test]
    fn a_database_with_an_idle_connection_is_not_replaceable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let user = Connection::open(&path).unwrap();
        user.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        let target = TargetFile::inspect(&path, 0o640).unwrap();
        let error = target.make_replaceable(Error::refused).unwrap_err();
        assert!(error.message().contains("cannot replace"), "{error}");
        user.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    }
}

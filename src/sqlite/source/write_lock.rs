//! The write lock: keeps other processes from writing to a source while it is read. In the
//! rollback journal modes an open read transaction is enough; in WAL mode it is SQLite's write
//! lock. Neither writes a byte into the database file or its `-wal`.
//!
//! `BEGIN IMMEDIATE` on a connection that SQLite opened read-only succeeds but locks nothing, so
//! in WAL mode the connection must be writable.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{Header, not_a_database, sibling, stat};
use crate::sqlite::source::lock_holders;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rustix::fs::{Access, access};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

/// How long a reader waits for a lock that another reader or a recovery holds briefly.
const READER_TIMEOUT: Duration = Duration::from_secs(5);

/// The outcome of an attempt to lock writers out.
pub(crate) enum LockOutcome {
    /// The open transaction of this connection keeps writers out.
    Acquired(Connection, JournalMode),
    /// Another process is writing, or holds an exclusive lock.
    Busy,
    /// An interrupted transaction must be rolled back before anything can be read.
    HotJournal,
    /// The database is in WAL mode and this process may not write to it: neither a write lock nor
    /// an ordinary connection is possible.
    NoPermission,
}

/// The journal mode of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JournalMode {
    /// A journal of the old pages; commits change the database file.
    Rollback,
    /// A log of the new pages; checkpoints change the database file.
    Wal,
}

/// Tries once to keep writers out of the database at `path`.
pub(crate) fn acquire(path: &Path, header: &Header) -> Result<LockOutcome> {
    if wal_without_permission(path, header)? {
        return Ok(LockOutcome::NoPermission);
    }
    attempt(path).or_else(|error| {
        let extended = error.sqlite_error().map_or(0, |e| e.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => Ok(LockOutcome::Busy),
            Some(ErrorCode::ReadOnly) if extended == ffi::SQLITE_READONLY_ROLLBACK => {
                Ok(LockOutcome::HotJournal)
            }
            // File permissions were checked before, but they can change, and containers and
            // security modules have rules of their own.
            Some(ErrorCode::ReadOnly) => Ok(LockOutcome::NoPermission),
            Some(ErrorCode::CannotOpen) if header.is_wal() => Ok(LockOutcome::NoPermission),
            _ => Err(refusal(path, &error)),
        }
    })
}

/// Whether the database is in WAL mode and this process may not write the files that even a reader
/// in WAL mode writes. Opening it anyway would leave a `-shm` that cannot be removed safely.
fn wal_without_permission(path: &Path, header: &Header) -> Result<bool> {
    let siblings = [sibling(path, "-wal"), sibling(path, "-shm")];
    let mut existing = Vec::new();
    for sibling in &siblings {
        existing.extend(stat(sibling)?.map(|_| sibling.as_path()));
    }
    let is_wal = header.is_wal() || existing.contains(&siblings[0].as_path());
    let may_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    let may_create = existing.len() == siblings.len() || path.parent().is_some_and(may_write);
    Ok(is_wal && !(may_write(path) && may_create && existing.into_iter().all(may_write)))
}

fn attempt(path: &Path) -> rusqlite::Result<LockOutcome> {
    // The shared lock of this connection also keeps the writable one below from rolling back a
    // journal that appears between the two.
    let reader = open_reader(path, Duration::ZERO)?;
    let mode: String = reader.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        // The shared lock alone keeps a writer from committing, but an open write transaction
        // means that the database is in use. In WAL mode the write lock shows that.
        return Ok(match lock_holders::has_writer(path) {
            true => LockOutcome::Busy,
            false => LockOutcome::Acquired(reader, JournalMode::Rollback),
        });
    }
    let writer = open_writer(path)?;
    writer.busy_timeout(Duration::ZERO)?;
    if writer.is_readonly(c"main")? {
        return Ok(LockOutcome::NoPermission);
    }
    writer.execute_batch("BEGIN IMMEDIATE")?;
    read_once(&writer)?;
    writer.execute_batch("PRAGMA query_only = ON")?;
    Ok(LockOutcome::Acquired(writer, JournalMode::Wal))
}

/// Opens a reader of the database at `path`. Its transaction has already read, so it stays on one
/// state.
fn open_reader(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    begin(Connection::open_with_flags(path, flags)?, timeout)
}

/// Opens a reader that waits for locks which are held briefly.
pub(crate) fn open_waiting_reader(path: &Path) -> rusqlite::Result<Connection> {
    open_reader(path, READER_TIMEOUT)
}

/// Opens a reader of a database that nobody changes: SQLite takes no locks, reads neither journal
/// nor WAL, and creates no files. Never use it if the journal or the WAL has content.
pub(crate) fn open_immutable_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    begin(Connection::open_with_flags(immutable_uri(path), flags)?, READER_TIMEOUT)
}

/// Opens a private copy for writing, which makes SQLite roll back its journal or recover its WAL.
pub(crate) fn recover(copy: &Path) -> rusqlite::Result<()> {
    read_once(&open_writer(copy)?)
}

fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    harden(&connection)?;
    Ok(connection)
}

fn begin(connection: Connection, timeout: Duration) -> rusqlite::Result<Connection> {
    harden(&connection)?;
    connection.busy_timeout(timeout)?;
    // The cache is limited to 2 MiB. SQLite puts temporary files into SQLITE_TMPDIR, TMPDIR,
    // /var/tmp or /tmp, and unlinks them as soon as they are open.
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA mmap_size = 0; BEGIN",
    )?;
    read_once(&connection)?;
    Ok(connection)
}

/// Keeps the schema from running functions with side effects and from corrupting the file, and
/// keeps the last connection from checkpointing the WAL when it is closed.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// Reads the schema, which takes the lock or the snapshot of the transaction.
fn read_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// `path` as a URI (<https://sqlite.org/uri.html>) with `immutable=1`.
fn immutable_uri(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte);
        } else {
            uri.extend(format!("%{byte:02X}").bytes());
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri)
}

/// The refusal of the source at `path` for an error of SQLite.
pub(crate) fn refusal(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => not_a_database(path),
        Some(ErrorCode::DatabaseCorrupt) => {
            Error::refused(format!("{shown} is corrupted")).caused_by(error).hint(format!(
                "inspect it with: sqlite3 {shown:?} 'PRAGMA integrity_check'; then restore a backup, \
                 or build a new file with: sqlite3 {shown:?} .recover | sqlite3 NEW_FILE"
            ))
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Error::refused(format!("SQLite cannot open {shown}"))
                .caused_by(error)
                .hint("check the permissions of the file, of its folder, and of its -wal, -shm and -journal files")
        }
        _ => Error::refused(format!("SQLite cannot read {shown}")).caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_a_path_in_a_uri() {
        let uri = immutable_uri(Path::new("/a b/100%?x=1&mode=rw#é.db"));
        let expected = "file:/a%20b/100%25%3Fx%3D1%26mode%3Drw%23%C3%A9.db?immutable=1";
        assert_eq!(uri.to_str(), Some(expected));
    }
}

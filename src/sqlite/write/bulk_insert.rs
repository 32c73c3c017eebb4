//! Bulk inserts: one connection that fills a new database as fast as SQLite can.
//!
//! Nobody else uses the file before it is complete, and a failed run removes it. So there is no
//! journal, no wait for the disk, and the lock is kept between statements.

use crate::codec::row_batch::{RowBatch, Values};
use crate::codec::sqlite_value::SqliteValue;
use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::schema::names::quote;
use crate::sqlite::errors::db_error;
use crate::sqlite::sql::ddl::TableDdl;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, ToSql};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

/// Rows per INSERT. Each statement reads and writes the sequence of an AUTOINCREMENT key once, which
/// costs as much as a row. More rows gain nothing, and with 16 the widest table (2,000 columns) stays
/// below the limit of 32,766 values per statement.
const ROWS_PER_INSERT: usize = 16;

/// A new database that is being filled.
pub(crate) struct FileWriter {
    connection: Connection,
}

impl FileWriter {
    /// Opens the empty file at `path`, which gets its properties by the statements `properties`.
    /// SQLite uses `cache` bytes of memory for pages, and as much for sorting.
    pub(crate) fn open(path: &Path, properties: &str, cache: u64) -> Result<Self> {
        let pragmas = format!(
            "{properties} PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
             PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = FILE; PRAGMA foreign_keys = OFF; \
             PRAGMA ignore_check_constraints = ON"
        );
        let connection = open_unshared(path, cache, &pragmas).map_err(|error| {
            Error::failed(format!("cannot create a database in {}", path.display()))
                .caused_by(error)
        })?;
        Ok(Self { connection })
    }

    /// Runs statements. `what` is the message of an error.
    pub(crate) fn run(&self, what: &str, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| failed(what, error))
    }

    /// Fills one table in one transaction: `feed` inserts its batches.
    pub(crate) fn fill(
        &self,
        table: &TableDdl,
        feed: impl FnOnce(&mut Insert<'_>) -> Result<()>,
    ) -> Result<()> {
        let what = format!("cannot write table {}", quote(&table.name));
        let prepare = |rows: usize| -> Result<Rows<'_>> {
            let statement = self.connection.prepare(&table.insert(rows));
            let statement = statement.map_err(|error| failed(&what, error))?;
            Ok(Rows { statement, values: rows * table.width() })
        };
        self.run(&what, "BEGIN")?;
        feed(&mut Insert { one: prepare(1)?, several: prepare(ROWS_PER_INSERT)?, what: &what })?;
        self.run(&what, "COMMIT")
    }

    /// Makes the AUTOINCREMENT key of `table` continue after `last`.
    pub(crate) fn set_sequence(&self, table: &str, last: i64) -> Result<()> {
        let set = || -> rusqlite::Result<()> {
            let update = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
            if self.connection.execute(update, (table, last))? == 0 {
                let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
                self.connection.execute(insert, (table, last))?;
            }
            Ok(())
        };
        set().map_err(|error| {
            failed(&format!("cannot set the AUTOINCREMENT key of table {}", quote(table)), error)
        })
    }

    /// The number that a query returns.
    pub(crate) fn count(&self, what: &str, sql: &str) -> Result<u64> {
        let count = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| failed(what, error))
    }

    /// Replaces the CREATE TABLE statement of `table` by one that stores its rows alike.
    pub(crate) fn replace_definition(&self, table: &str, sql: &str) -> Result<()> {
        let replace = || -> rusqlite::Result<()> {
            self.connection.execute_batch("PRAGMA writable_schema = ON")?;
            let update = "UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1";
            self.connection.execute(update, (table, sql))?;
            self.connection.execute_batch("PRAGMA writable_schema = RESET")
        };
        let what = format!("cannot replace the definition of table {}", quote(table));
        replace().map_err(|error| failed(&what, error))
    }

    /// The number of rows of `table` that violate each of its foreign keys, by the key's number.
    pub(crate) fn orphans(&self, table: &str) -> Result<Vec<(usize, u64)>> {
        let read = || -> rusqlite::Result<Vec<(usize, u64)>> {
            let sql = "SELECT fkid, count(*) FROM pragma_foreign_key_check(?1) GROUP BY fkid";
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([table], |row| {
                let (key, count): (i64, i64) = row.try_into()?;
                Ok((key as usize, count as u64))
            })?;
            rows.collect()
        };
        read().map_err(|error| failed("cannot check the foreign keys", error))
    }

    /// Runs `work`, which may spend a long time in SQLite, and ends it early if `cancel` is cancelled.
    pub(crate) fn interruptible<T>(
        &self,
        cancel: &CancelScope,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        interruptible(&self.connection, cancel, work)
    }

    /// Closes the database.
    pub(crate) fn close(self) -> Result<()> {
        self.connection.close().map_err(|(_, error)| failed("cannot close the new database", error))
    }
}

/// Opens the file at `path`, which no other process uses, with `cache` bytes of its pages in
/// memory, and runs `pragmas`.
pub(crate) fn open_unshared(
    path: &Path,
    cache: u64,
    pragmas: &str,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let cache = (cache / 1024).max(2_000);
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{cache}; PRAGMA trusted_schema = OFF; {pragmas}"
    ))?;
    Ok(connection)
}

/// Runs `work`, which may spend a long time in SQLite, and ends it early if `cancel` is cancelled.
pub(crate) fn interruptible<T>(
    connection: &Connection,
    cancel: &CancelScope,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let handle = connection.get_interrupt_handle();
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if cancel.is_cancelled() {
                    handle.interrupt();
                }
                std::thread::park_timeout(POLL_INTERVAL);
            }
        });
        let _done = DoneOnDrop(&done, watcher.thread().clone());
        work()
    });
    cancel.check().and(result)
}

/// Ends the watcher when the work has ended, also by a panic.
struct DoneOnDrop<'a>(&'a AtomicBool, Thread);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

/// The prepared INSERTs of one table.
pub(crate) struct Insert<'c> {
    one: Rows<'c>,
    several: Rows<'c>,
    what: &'c str,
}

/// A statement that inserts `values` values.
struct Rows<'c> {
    statement: Statement<'c>,
    values: usize,
}

impl Insert<'_> {
    /// Inserts all rows of a batch.
    pub(crate) fn batch(&mut self, batch: &RowBatch) -> Result<()> {
        let Self { one, several, what } = self;
        let mut values = batch.values();
        let mut insert = || -> rusqlite::Result<()> {
            for _ in 0..batch.rows() / ROWS_PER_INSERT as u64 {
                several.insert(&mut values)?;
            }
            for _ in 0..batch.rows() % ROWS_PER_INSERT as u64 {
                one.insert(&mut values)?;
            }
            Ok(())
        };
        insert().map_err(|error| failed(what, error))
    }

    /// Inserts one row, which may be very large: `values` binds each value by its index. The copies
    /// that SQLite keeps of bound values are freed at once.
    pub(crate) fn row(
        &mut self,
        values: impl FnOnce(&mut dyn FnMut(usize, SqliteValue<'_>) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let statement = &mut self.one.statement;
        values(&mut |index, value| {
            let bound = statement.raw_bind_parameter(index + 1, Bound(value));
            bound.map_err(|error| failed(self.what, error))
        })?;
        statement.raw_execute().map_err(|error| failed(self.what, error))?;
        statement.clear_bindings();
        Ok(())
    }
}

impl Rows<'_> {
    fn insert(&mut self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        for (index, value) in values.take(self.values).enumerate() {
            self.statement.raw_bind_parameter(index + 1, Bound(value))?;
        }
        self.statement.raw_execute().map(drop)
    }
}

/// A value to bind.
pub(crate) struct Bound<'a>(pub(crate) SqliteValue<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            SqliteValue::Null => ValueRef::Null,
            SqliteValue::Integer(integer) => ValueRef::Integer(integer),
            SqliteValue::Real(real) => ValueRef::Real(real),
            SqliteValue::Text(text) => ValueRef::Text(text),
            SqliteValue::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// The error `what`, caused by an error of SQLite.
pub(crate) fn failed(what: &str, error: rusqlite::Error) -> Error {
    db_error(what)(error).hint("the target is unchanged; the unfinished file was removed")
}

/// Runs `statements` in an empty in-memory database. Returns the index of the first statement that
/// fails, with the reason.
pub(crate) fn dry_run(statements: &[String]) -> Result<Option<(usize, String)>> {
    let connection = Connection::open_in_memory().map_err(|error| {
        Error::failed("cannot run the definitions in an empty database").caused_by(error)
    })?;
    for (index, sql) in statements.iter().enumerate() {
        if let Err(error) = connection.execute_batch(sql) {
            return Ok(Some((index, error.to_string())));
        }
    }
    Ok(None)
}

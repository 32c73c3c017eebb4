//! Writing: one connection that fills a new database as fast as SQLite can.
//!
//! The file is nobody's before it is whole: so there is no journal, nothing waits for the disk,
//! and no lock is given back between two statements. Whatever goes wrong, the file is thrown away.

use crate::codec::row_batch::RowBatch;
use crate::codec::row_batch::Values;
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

/// Rows that one statement inserts. The sequence of an AUTOINCREMENT key is read and written once
/// a statement, which costs as much as the rows themselves where each has a statement of its own;
/// more rows gain no more, and the widest table of 2,000 columns keeps below the 32,766 values that
/// a statement can have.
const AT_ONCE: usize = 16;
/// A new database being filled.
pub(crate) struct FileWriter {
    connection: Connection,
}

impl FileWriter {
    /// Opens the empty file at `path`. Pages have `page_size` bytes; `cache` bytes of them are
    /// kept in memory, and as much is used for sorting.
    pub(crate) fn open(path: &Path, page_size: u32, cache: u64) -> Result<Self> {
        let what = || format!("cannot make a database of {}", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.execute_batch(&format!(
                "PRAGMA page_size = {page_size}; PRAGMA journal_mode = OFF; \
                 PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
                 PRAGMA cache_size = -{}; PRAGMA temp_store = FILE; PRAGMA foreign_keys = OFF; \
                 PRAGMA ignore_check_constraints = ON; PRAGMA trusted_schema = OFF",
                (cache / 1024).max(2_000)
            ))?;
            Ok(connection)
        };
        open().map(|connection| Self { connection }).map_err(|e| Error::failed(what()).caused_by(e))
    }

    /// Runs statements; `what` is what they are for.
    pub(crate) fn run(&self, what: &str, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| failed(what, error))
    }

    /// Fills one table: `feed` hands over its batches. All of it is one transaction.
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
        feed(&mut Insert { one: prepare(1)?, several: prepare(AT_ONCE)?, what: &what })?;
        self.run(&what, "COMMIT")
    }

    /// Sees to it that an automatic key goes on after `last`.
    pub(crate) fn set_sequence(&self, table: &str, last: i64) -> Result<()> {
        let set = || -> rusqlite::Result<()> {
            let update = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
            if self.connection.execute(update, (table, last))? == 0 {
                let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
                self.connection.execute(insert, (table, last))?;
            }
            Ok(())
        };
        set().map_err(|error| failed(&format!("cannot set the keys of {}", quote(table)), error))
    }

    /// Rows of `table` that break each of its foreign keys, by the key's number.
    pub(crate) fn orphans(&self, table: &str) -> Result<Vec<(usize, u64)>> {
        let read = || -> rusqlite::Result<Vec<(usize, u64)>> {
            let sql = "SELECT fkid, count(*) FROM pragma_foreign_key_check(?1) GROUP BY fkid";
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([table], |row| {
                let (key, count): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((key as usize, count as u64))
            })?;
            rows.collect()
        };
        read().map_err(|error| failed("cannot check the foreign keys", error))
    }

    /// Runs `work`, which may take long inside SQLite, and ends it early when `cancel` is cancelled.
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

/// Runs `work`, which may take long inside SQLite, and ends it early when `cancel` is cancelled.
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
        let _over = Over(&done, watcher.thread().clone());
        work()
    });
    cancel.check().and(result)
}

/// Says to the one who watches that work is over, also when it panics.
struct Over<'a>(&'a AtomicBool, Thread);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}

/// The insertion of rows into one table.
pub(crate) struct Insert<'c> {
    one: Rows<'c>,
    several: Rows<'c>,
    what: &'c str,
}

/// A statement that inserts so many values.
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
            for _ in 0..batch.rows() / AT_ONCE as u64 {
                several.insert(&mut values)?;
            }
            for _ in 0..batch.rows() % AT_ONCE as u64 {
                one.insert(&mut values)?;
            }
            Ok(())
        };
        insert().map_err(|error| failed(what, error))
    }

    /// Inserts one row, which may be very large: `values` binds its values by their places. SQLite
    /// keeps copies of what is bound, which are given back at once.
    pub(crate) fn row(
        &mut self,
        values: impl FnOnce(&mut dyn FnMut(usize, SqliteValue<'_>) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let statement = &mut self.one.statement;
        values(&mut |place, value| {
            let bound = statement.raw_bind_parameter(place + 1, Bound(value));
            bound.map_err(|error| failed(self.what, error))
        })?;
        statement.raw_execute().map_err(|error| failed(self.what, error))?;
        statement.clear_bindings();
        Ok(())
    }
}

impl Rows<'_> {
    fn insert(&mut self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        for (place, value) in values.take(self.values).enumerate() {
            self.statement.raw_bind_parameter(place + 1, Bound(value))?;
        }
        self.statement.raw_execute().map(drop)
    }
}

/// A value on its way into a statement.
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

/// SQLite's error without the values that it may name.
pub(crate) fn failed(what: &str, error: rusqlite::Error) -> Error {
    db_error(what)(error).hint("nothing was put in the target's place; what was begun is removed")
}

/// What SQLite says to `statements` in an empty database of its own: nothing, or the number of
/// the first that it will not have and why.
pub(crate) fn trial(statements: &[String]) -> Result<Option<(usize, String)>> {
    let connection = Connection::open_in_memory()
        .map_err(|error| Error::failed("cannot try the definitions").caused_by(error))?;
    for (place, sql) in statements.iter().enumerate() {
        if let Err(error) = connection.execute_batch(sql) {
            return Ok(Some((place, error.to_string())));
        }
    }
    Ok(None)
}

//! The writer: prepared INSERTs of several rows, with gaps in the ids.

use crate::bench::generate::random::Random;
use rusqlite::ffi::{Error, SQLITE_INTERRUPT};
use rusqlite::{Connection, Result, Statement, ToSql};

/// Rows per INSERT: each statement reads and writes the sequence of an AUTOINCREMENT key once, which
/// costs as much as a row.
const ROWS: u64 = 16;

/// Rows between two calls of the progress; a multiple of [`ROWS`].
const STRIDE: u64 = 1 << 16;

/// The writer of a database.
pub(crate) struct Writer<'a> {
    connection: &'a Connection,
    /// The random numbers.
    pub(crate) random: Random,
    done: u64,
    progress: &'a mut dyn FnMut(&str, u64) -> bool,
}

/// A row whose values are bound in order.
pub(crate) struct Row<'a, 'c> {
    statement: &'a mut Statement<'c>,
    next: usize,
    /// The id of the row.
    pub(crate) id: i64,
}

impl Row<'_, '_> {
    /// Binds the next value.
    pub(crate) fn put(&mut self, value: impl ToSql) -> Result<()> {
        self.next += 1;
        self.statement.raw_bind_parameter(self.next, value)
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        random: Random,
        progress: &'a mut dyn FnMut(&str, u64) -> bool,
    ) -> Self {
        Self { connection, random, done: 0, progress }
    }

    /// Inserts `rows` rows of `columns` values into `table`. `make` binds every value except that of
    /// the column `id`, which comes first if `with_id` is set.
    pub(crate) fn insert(
        &mut self,
        table: &str,
        columns: usize,
        with_id: bool,
        rows: u64,
        mut make: impl FnMut(&mut Row<'_, '_>, &mut Random) -> Result<()>,
    ) -> Result<()> {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let insert = |rows: u64| {
            let all = vec![row.as_str(); rows as usize].join(", ");
            self.connection.prepare(&format!("INSERT INTO {table} VALUES {all}"))
        };
        let (mut one, mut several) = (insert(1)?, insert(ROWS)?);
        let (mut id, mut row) = (0, 0);
        while row < rows {
            let (statement, together) =
                if rows - row < ROWS { (&mut one, 1) } else { (&mut several, ROWS) };
            let mut next = 0;
            for _ in 0..together {
                // A gap for one id in a hundred, like a deleted row.
                id += if self.random.percent(1) { 2 + self.random.below(20) as i64 } else { 1 };
                let mut values = Row { statement, next, id };
                if with_id {
                    values.put(id)?;
                }
                make(&mut values, &mut self.random)?;
                next = values.next;
            }
            statement.raw_execute()?;
            row += together;
            if row.is_multiple_of(STRIDE) {
                self.report(table, self.done + row)?;
            }
        }
        self.done += rows;
        self.report(table, self.done)
    }

    /// Calls the progress; if it ends the work, returns SQLite's error for an interruption.
    fn report(&mut self, table: &str, rows: u64) -> Result<()> {
        if (self.progress)(table, rows) {
            return Ok(());
        }
        let code = Error::new(SQLITE_INTERRUPT);
        Err(rusqlite::Error::SqliteFailure(code, None))
    }

    /// Moves the AUTOINCREMENT key of `table` past its last row, as if rows had been deleted.
    pub(crate) fn skip_ids(&self, table: &str, ids: i64) -> Result<()> {
        let sql = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = ?2";
        self.connection.execute(sql, (ids, table)).map(|_| ())
    }
}

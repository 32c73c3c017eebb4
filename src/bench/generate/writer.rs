//! The writer: prepared INSERTs of several rows each, with ids that have gaps.

use crate::bench::generate::random::Random;
use rusqlite::ffi::{Error, SQLITE_INTERRUPT};
use rusqlite::{Connection, Result, Statement, ToSql};

/// Rows of one statement: SQLite reads and writes the sequence of an automatic key once a
/// statement, which costs as much as a row.
const ROWS: u64 = 16;

/// After how many rows the progress is told; a multiple of [`ROWS`].
const STRIDE: u64 = 1 << 16;

/// Where the rows go.
pub(crate) struct Writer<'a> {
    connection: &'a Connection,
    /// The source of all choices.
    pub(crate) random: Random,
    done: u64,
    progress: &'a mut dyn FnMut(&str, u64) -> bool,
}

/// One row on its way: its values are bound in order.
pub(crate) struct Row<'a, 'c> {
    statement: &'a mut Statement<'c>,
    next: usize,
    /// The row's id.
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

    /// Inserts `rows` rows of `columns` values into `table`. `make` puts every value but those of
    /// a column `id`, which comes first where `with_id` is set.
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
                // One row in a hundred was deleted later, or its transaction was rolled back.
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
                self.tell(table, self.done + row)?;
            }
        }
        self.done += rows;
        self.tell(table, self.done)
    }

    /// Tells the progress; where nobody wants to go on, that is SQLite's own error for it.
    fn tell(&mut self, table: &str, rows: u64) -> Result<()> {
        if (self.progress)(table, rows) {
            return Ok(());
        }
        let code = Error::new(SQLITE_INTERRUPT);
        Err(rusqlite::Error::SqliteFailure(code, None))
    }

    /// Moves the automatic key of `table` past its last row, as if some had been deleted there.
    pub(crate) fn skip_ids(&self, table: &str, ids: i64) -> Result<()> {
        let sql = "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = ?2";
        self.connection.execute(sql, (ids, table)).map(|_| ())
    }
}

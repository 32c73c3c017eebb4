//! Reading the rows of chunks and ranges.

use crate::codec::row_batch::{RowBatch, Values};
use crate::codec::sqlite_value::SqliteValue;
use crate::error::{Error, Result};
use crate::schema::chunk::{Chunk, KeyRange, KeyValue};
use crate::schema::names::quote;
use crate::sqlite::errors::db_error;
use crate::sqlite::read::collector::{BatchBuilder, raw, raw_utf16};
use crate::sqlite::read::query::{Bounds, TableQuery};
use crate::sqlite::source::connection::SourceConnection as Source;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, Row, ToSql};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes that a scan collects before it passes the rows on: few enough for the processor's cache,
/// and enough to hide the cost of starting the next query.
const SCAN_BATCH_BYTES: usize = 256 * 1024;

/// A row of a scan: an iterator over the values of its columns.
#[derive(Debug, Clone)]
pub(crate) struct StoredRow<'a> {
    start: Values<'a>,
    rest: Values<'a>,
    keys: usize,
    columns: usize,
    left: usize,
}

impl<'a> StoredRow<'a> {
    /// The row at the start of `values`: `keys` key values, then the columns.
    #[inline]
    fn new(values: Values<'a>, keys: usize, columns: usize) -> Self {
        let mut rest = values.clone();
        (0..keys).for_each(|_| _ = rest.next());
        Self { start: values, rest, keys, columns, left: columns }
    }

    /// The same row from its first column.
    pub(crate) fn restart(&self) -> Self {
        Self::new(self.start.clone(), self.keys, self.columns)
    }

    /// The integer key of the row; 0 in a table without one.
    #[inline]
    pub(crate) fn integer_key(&self) -> i64 {
        match self.start.clone().next() {
            Some(SqliteValue::Integer(key)) if self.keys == 1 => key,
            _ => 0,
        }
    }

    /// The whole key of the row.
    pub(crate) fn key_values(&self) -> Vec<KeyValue> {
        let value = |raw| match raw {
            // Such a key never holds NULL; an empty blob sorts after all other values.
            SqliteValue::Null => KeyValue::Blob(Vec::new()),
            SqliteValue::Integer(integer) => KeyValue::Integer(integer),
            SqliteValue::Real(real) => KeyValue::Real(real.to_bits()),
            SqliteValue::Text(text) => KeyValue::Text(text.to_vec()),
            SqliteValue::Blob(blob) => KeyValue::Blob(blob.to_vec()),
        };
        self.start.clone().take(self.keys).map(value).collect()
    }

    /// The values after the row.
    fn end(mut self) -> Values<'a> {
        self.by_ref().for_each(drop);
        self.rest
    }
}

impl<'a> Iterator for StoredRow<'a> {
    type Item = SqliteValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<SqliteValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.rest.next()
    }
}

/// Reads the rows of `range` in storage order and calls `each` for every row until it breaks.
pub(crate) fn scan(
    source: &Source,
    query: &TableQuery,
    range: &KeyRange,
    mut each: impl FnMut(&mut StoredRow<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    match (range, query.collect()) {
        (&KeyRange::Integer { first, last }, Some(collect)) => {
            scan_collected(source, query, &collect, (first, last), each)
        }
        _ => {
            let mut batch = RowBatch::default();
            let mut scratch = Vec::new();
            let keys = query.key().len();
            scan_stepwise(source, query, range, |row| {
                batch.clear(SCAN_BATCH_BYTES);
                for index in query.width()..query.width() + keys {
                    let value = row.get_ref(index);
                    batch.push(raw(value.map_err(|error| read_error(&query.table, error))?));
                }
                push_values(row, query, &mut batch, &mut scratch)?;
                each(&mut StoredRow::new(batch.values(), keys, query.columns.len()))
            })
        }
    }
}

/// Scans in batches.
fn scan_collected(
    source: &Source,
    query: &TableQuery,
    collect: &str,
    (mut first, last): (i64, i64),
    mut each: impl FnMut(&mut StoredRow<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut batch = RowBatch::default();
    loop {
        let builder = BatchBuilder::with_keys(query, batch, SCAN_BATCH_BYTES);
        let filled = source
            .collect(query, collect, (first, last), builder)
            .map_err(|error| read_error(&query.table, error))?;
        let mut values = filled.batch.values();
        for _ in 0..filled.batch.rows() {
            let mut row = StoredRow::new(values, 1, query.columns.len());
            if each(&mut row)?.is_break() {
                return Ok(());
            }
            values = row.end();
        }
        match filled.last.and_then(|key| key.checked_add(1)) {
            Some(next) if filled.full && next <= last => first = next,
            _ => return Ok(()),
        }
        batch = filled.batch;
        batch.clear(SCAN_BATCH_BYTES);
    }
}

/// Scans row by row, where the collector cannot be used.
fn scan_stepwise(
    source: &Source,
    query: &TableQuery,
    range: &KeyRange,
    mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let failed = |error: rusqlite::Error| read_error(&query.table, error);
    let mut bounds = Bounds::default();
    let values = match range {
        KeyRange::Integer { first, last } => {
            vec![KeyValue::Integer(*first), KeyValue::Integer(*last)]
        }
        KeyRange::Key { after, through } => {
            bounds = Bounds { after: after.is_some(), through: through.is_some() };
            after.iter().chain(through).flatten().cloned().collect()
        }
        KeyRange::Ordinal { .. } => Vec::new(),
    };
    let mut statement = source.prepare_cached(&query.scan(bounds)).map_err(failed)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if each(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Appends the columns of a row.
fn push_values(
    row: &Row<'_>,
    query: &TableQuery,
    batch: &mut RowBatch,
    scratch: &mut Vec<u8>,
) -> Result<()> {
    let failed = |error: rusqlite::Error| read_error(&query.table, error);
    for index in 0..query.columns.len() {
        let value = row.get_ref(index).map_err(failed)?;
        if query.utf16() {
            let flag = row.get_ref(query.columns.len() + index).map_err(failed)?;
            let is_text = flag == ValueRef::Integer(1);
            batch.push(raw_utf16(value, is_text, query.encoding, scratch));
        } else {
            batch.push(raw(value));
        }
    }
    batch.end_row();
    Ok(())
}

impl ToSql for KeyValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(bits) => ValueRef::Real(f64::from_bits(*bits)),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// The error for a table that SQLite cannot read.
pub(crate) fn read_error(table: &str, error: rusqlite::Error) -> Error {
    let is_damage = error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt);
    let error = damage_error(&format!("table {}", quote(table)), error);
    match is_damage {
        true => error.hint(
            "restore a backup, or recover the readable rows with: sqlite3 FILE .recover | sqlite3 NEW",
        ),
        false => error,
    }
}

/// The hint for every damage of a source.
pub(crate) const CHECK_SOURCE: &str =
    "check the source with: sqlite3 FILE 'PRAGMA integrity_check'";

/// The hint for indexes that are out of step with their tables.
pub(crate) const REPAIR_SOURCE: &str =
    "restore a backup, or correct rows and indexes in a copy of the source";

/// Whether SQLite calls a part of the source malformed.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// The error for a part of the source that SQLite cannot read.
pub(crate) fn damage_error(what: &str, error: rusqlite::Error) -> Error {
    let failed = match is_damage(&error) {
        true => format!("{what} is damaged"),
        false => format!("cannot read {what}"),
    };
    db_error(&failed)(error).hint(CHECK_SOURCE)
}

/// A reader of chunks, with a connection of its own.
pub(crate) struct ChunkReader {
    connection: Source,
    queries: Arc<[TableQuery]>,
    scratch: Vec<u8>,
}

impl ChunkReader {
    /// A reader over `connection`; `queries` are the tables of the plan, in order.
    pub(crate) fn new(connection: Source, queries: Arc<[TableQuery]>) -> Self {
        // One statement per table and kind of range, kept while the table is read.
        connection.set_prepared_statement_cache_capacity(8);
        Self { connection, queries, scratch: Vec::new() }
    }

    /// Reads all chunks of a table without a key, in one scan. `batch` provides an empty batch for
    /// each chunk, and `done` receives the full one. Errors: the source cannot be read, the table
    /// has changed, or `batch` or `done` failed.
    pub(crate) fn read_in_order(
        &mut self,
        table: usize,
        chunks: &[Chunk],
        mut batch: impl FnMut(&Chunk) -> Result<RowBatch>,
        mut done: impl FnMut(&Chunk, RowBatch) -> Result<()>,
    ) -> Result<()> {
        let query = &self.queries[table];
        let scratch = &mut self.scratch;
        let mut ahead = chunks.iter();
        let mut current: Option<(&Chunk, RowBatch)> = None;
        let whole = KeyRange::Ordinal { skip: 0, rows: 0 };
        scan_stepwise(&self.connection, query, &whole, |row| {
            if current.is_none() {
                let Some(chunk) = ahead.next() else { return Err(changed(&query.table)) };
                current = Some((chunk, batch(chunk)?));
            }
            if let Some((chunk, rows)) = &mut current {
                push_values(row, query, rows, scratch)?;
                if rows.rows() < chunk.rows {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if let Some((chunk, full)) = current.take() {
                done(chunk, full)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if current.is_some() || ahead.next().is_some() {
            return Err(changed(&query.table));
        }
        Ok(())
    }

    /// Reads the rows of `chunk` into `batch`; `table` is the index of the table in the plan.
    /// Errors: the source cannot be read, or the table has changed.
    pub(crate) fn read(&mut self, table: usize, chunk: &Chunk, batch: &mut RowBatch) -> Result<()> {
        let query = &self.queries[table];
        match (&chunk.range, query.collect()) {
            (&KeyRange::Integer { first, last }, Some(collect)) => {
                let builder = BatchBuilder::new(query, std::mem::take(batch));
                let filled = self.connection.collect(query, &collect, (first, last), builder);
                *batch = filled.map_err(|error| read_error(&query.table, error))?.batch;
            }
            _ => scan_stepwise(&self.connection, query, &chunk.range, |row| {
                push_values(row, query, batch, &mut self.scratch)?;
                Ok(ControlFlow::Continue(()))
            })?,
        }
        if batch.rows() != chunk.rows {
            return Err(changed(&query.table));
        }
        Ok(())
    }
}

/// The error for a table whose rows differ from the profile.
fn changed(table: &str) -> Error {
    Error::failed(format!("table {} changed while it was being copied", quote(table)))
        .hint("stop every process that writes to the source")
}

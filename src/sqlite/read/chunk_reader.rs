//! Reading rows: the way of a stored value out of SQLite.

use crate::codec::row_batch::RowBatch;
use crate::codec::row_batch::Values;
use crate::codec::sqlite_value::SqliteValue;
use crate::error::{Error, Result};
use crate::schema::chunk::{Chunk, KeyRange, KeyValue};
use crate::schema::names::quote;
use crate::sqlite::errors::db_error;
use crate::sqlite::read::collector::{BatchBuilder, raw, raw_utf16};
use crate::sqlite::read::query::{Bounds, TableQuery};
use crate::sqlite::source::connection::SourceConnection as Source;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Rows, ToSql};
use std::sync::Arc;

/// Bytes that a scan collects before it hands their rows over: few enough to stay in the
/// processor's cache, enough that going on behind the last row does not show.
const COLLECTED: usize = 256 * 1024;

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
    /// The row at the start of `values`: `keys` values of its key, then its columns.
    #[inline]
    fn new(values: Values<'a>, keys: usize, columns: usize) -> Self {
        let mut rest = values.clone();
        (0..keys).for_each(|_| _ = rest.next());
        Self { start: values, rest, keys, columns, left: columns }
    }

    /// The row from its first column on.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.start.clone(), self.keys, self.columns)
    }

    /// The row's integer key; 0 in a table without.
    #[inline]
    pub(crate) fn integer_key(&self) -> i64 {
        match self.start.clone().next() {
            Some(SqliteValue::Integer(key)) if self.keys == 1 => key,
            _ => 0,
        }
    }

    /// The row's whole key.
    pub(crate) fn key_values(&self) -> Vec<KeyValue> {
        let value = |raw| match raw {
            // A key of this kind never holds NULL; an empty blob sorts after all else.
            SqliteValue::Null => KeyValue::Blob(Vec::new()),
            SqliteValue::Integer(integer) => KeyValue::Integer(integer),
            SqliteValue::Real(real) => KeyValue::Real(real.to_bits()),
            SqliteValue::Text(text) => KeyValue::Text(text.to_vec()),
            SqliteValue::Blob(blob) => KeyValue::Blob(blob.to_vec()),
        };
        self.start.clone().take(self.keys).map(value).collect()
    }

    /// What comes after the row.
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

/// Whether a scan goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Row,
    Stop,
}

/// Reads the rows of `range` in storage order and hands each to `each` until that says stop.
///
/// # Errors
/// SQLite's, or those of `each`, with the table named.
pub(crate) fn scan(
    source: &Source,
    query: &TableQuery,
    range: &KeyRange,
    mut each: impl FnMut(&mut StoredRow<'_>) -> Result<Next>,
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
                batch.clear(COLLECTED);
                push_keys(row, query, &mut batch)?;
                push_values(row, query, &mut batch, &mut scratch)?;
                each(&mut StoredRow::new(batch.values(), keys, query.columns.len()))
            })
        }
    }
}

/// A scan in batches.
fn scan_collected(
    source: &Source,
    query: &TableQuery,
    collect: &str,
    (mut first, last): (i64, i64),
    mut each: impl FnMut(&mut StoredRow<'_>) -> Result<Next>,
) -> Result<()> {
    let mut batch = RowBatch::default();
    loop {
        let filling = BatchBuilder::with_keys(query, batch, COLLECTED);
        let filled = source
            .collect(query, collect, (first, last), filling)
            .map_err(|error| read_error(&query.table, error))?;
        let mut values = filled.batch.values();
        for _ in 0..filled.batch.rows() {
            let mut row = StoredRow::new(values, 1, query.columns.len());
            if each(&mut row)? == Next::Stop {
                return Ok(());
            }
            values = row.end();
        }
        match filled.last.and_then(|key| key.checked_add(1)) {
            Some(next) if filled.full && next <= last => first = next,
            _ => return Ok(()),
        }
        batch = filled.batch;
        batch.clear(COLLECTED);
    }
}

/// A scan row by row: for what the collector cannot take.
fn scan_stepwise(
    source: &Source,
    query: &TableQuery,
    range: &KeyRange,
    mut each: impl FnMut(&Row<'_>) -> Result<Next>,
) -> Result<()> {
    let failed = |error: rusqlite::Error| read_error(&query.table, error);
    let mut walk = |mut rows: Rows<'_>| -> Result<()> {
        while let Some(row) = rows.next().map_err(failed)? {
            if each(row)? == Next::Stop {
                break;
            }
        }
        Ok(())
    };
    match range {
        KeyRange::Integer { first, last } => {
            let mut statement =
                source.prepare_cached(&query.scan(Bounds::default())).map_err(failed)?;
            walk(statement.query([first, last]).map_err(failed)?)
        }
        KeyRange::Key { after, through } => {
            let bounds = Bounds { after: after.is_some(), through: through.is_some() };
            let mut statement = source.prepare_cached(&query.scan(bounds)).map_err(failed)?;
            let values = after.iter().flatten().chain(through.iter().flatten());
            walk(statement.query(rusqlite::params_from_iter(values)).map_err(failed)?)
        }
        KeyRange::Ordinal { .. } => {
            let mut statement =
                source.prepare_cached(&query.scan(Bounds::default())).map_err(failed)?;
            walk(statement.query([]).map_err(failed)?)
        }
    }
}

/// Appends the values of a row's columns.
fn push_values(
    row: &Row<'_>,
    query: &TableQuery,
    batch: &mut RowBatch,
    scratch: &mut Vec<u8>,
) -> Result<()> {
    let failed = |error: rusqlite::Error| read_error(&query.table, error);
    for place in 0..query.columns.len() {
        let value = row.get_ref(place).map_err(failed)?;
        if query.utf16() {
            let of_text = row.get_ref(query.columns.len() + place).map_err(failed)?;
            let is_text = of_text == ValueRef::Integer(1);
            batch.push(raw_utf16(value, is_text, query.encoding, scratch));
        } else {
            batch.push(raw(value));
        }
    }
    batch.end_row();
    Ok(())
}

/// Appends the values of a row's key.
fn push_keys(row: &Row<'_>, query: &TableQuery, batch: &mut RowBatch) -> Result<()> {
    for place in query.width()..query.width() + query.key().len() {
        let value = row.get_ref(place).map_err(|error| read_error(&query.table, error))?;
        batch.push(raw(value));
    }
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

/// SQLite's error while reading a table, in our words.
pub(crate) fn read_error(table: &str, error: rusqlite::Error) -> Error {
    db_error(&format!("cannot read table {}", quote(table)))(error)
        .hint("check the file with: sqlite3 FILE 'PRAGMA integrity_check'")
}

/// A reader of chunks: one connection on the fenced state.
pub(crate) struct ChunkReader {
    connection: Source,
    queries: Arc<[TableQuery]>,
    scratch: Vec<u8>,
}

impl ChunkReader {
    /// A reader over `connection`; `queries` are the plan's tables in their order.
    pub(crate) fn new(connection: Source, queries: Arc<[TableQuery]>) -> Self {
        // A statement a table and kind of range, kept while the table is being read.
        connection.set_prepared_statement_cache_capacity(8);
        Self { connection, queries, scratch: Vec::new() }
    }

    /// Reads all chunks of a table whose rows have no key, in one scan: `batch` is asked for a
    /// batch before each chunk and `done` given the full one.
    ///
    /// # Errors
    /// The source cannot be read, or has other rows than the plan found; and those of the two.
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
            if let Some((chunk, filling)) = &mut current {
                push_values(row, query, filling, scratch)?;
                if filling.rows() < chunk.rows {
                    return Ok(Next::Row);
                }
            }
            if let Some((chunk, full)) = current.take() {
                done(chunk, full)?;
            }
            Ok(Next::Row)
        })?;
        if current.is_some() || ahead.next().is_some() {
            return Err(changed(&query.table));
        }
        Ok(())
    }
}

/// The source does not hold what the profile found there, although it was fenced.
fn changed(table: &str) -> Error {
    Error::failed(format!("table {} changed while it was being copied", quote(table)))
        .hint("stop whatever writes to the source, then run again with --drop-all")
}

impl ChunkReader {
    /// Reads the rows of `chunk` of the table with the index `table` in the plan into `batch`.
    ///
    /// # Errors
    /// The source cannot be read, or does not hold what the plan found.
    pub(crate) fn read(&mut self, table: usize, chunk: &Chunk, batch: &mut RowBatch) -> Result<()> {
        let query = &self.queries[table];
        match (&chunk.range, query.collect()) {
            (&KeyRange::Integer { first, last }, Some(collect)) => {
                let filling = BatchBuilder::new(query, std::mem::take(batch));
                let filled = self.connection.collect(query, &collect, (first, last), filling);
                *batch = filled.map_err(|error| read_error(&query.table, error))?.batch;
            }
            _ => scan_stepwise(&self.connection, query, &chunk.range, |row| {
                push_values(row, query, batch, &mut self.scratch)?;
                Ok(Next::Row)
            })?,
        }
        if batch.rows() != chunk.rows {
            return Err(changed(&query.table));
        }
        Ok(())
    }
}

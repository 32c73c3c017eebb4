//! Reading rows: the queries, and the way of a stored value out of SQLite.

use crate::codec::{Raw, RowBatch};
use crate::database::{Chunk, KeyRange, KeyValue, Reader};
use crate::error::{Error, Result};
use crate::schema::RowAddress;
use crate::schema::names::quote;
use crate::sqlite::Reader as Source;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Rows, ToSql};
use std::sync::Arc;

/// What is read of one table.
#[derive(Debug, Clone)]
pub struct TableQuery {
    /// The table's name.
    pub table: String,
    /// The columns, in the order in which their values are wanted.
    pub columns: Vec<String>,
    /// How ranges are addressed.
    pub address: RowAddress,
    /// How the database keeps text.
    pub encoding: TextEncoding,
}

/// How a SQLite database keeps text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// How the database of `connection` keeps text.
///
/// # Errors
/// SQLite cannot tell.
pub fn encoding(connection: &Connection) -> Result<TextEncoding> {
    let name: String = connection
        .query_row("PRAGMA encoding", [], |row| row.get(0))
        .map_err(|error| Error::refused("cannot read the source").caused_by(error))?;
    Ok(match name.as_str() {
        "UTF-16le" => TextEncoding::Utf16Le,
        "UTF-16be" => TextEncoding::Utf16Be,
        _ => TextEncoding::Utf8,
    })
}

/// Which bounds a range of composite keys has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Bounds {
    after: bool,
    through: bool,
}

/// SQLite's limit on the columns of a result, as the bundled library is built.
const MOST_RESULT_COLUMNS: usize = 2000;

impl TableQuery {
    /// Checks what the queries could not do.
    ///
    /// # Errors
    /// A UTF-16 table with so many columns that their encodings cannot be asked for.
    pub fn check(&self) -> Result<()> {
        if self.utf16() && self.columns.len() * 2 >= MOST_RESULT_COLUMNS {
            return Err(Error::refused(format!(
                "table {} has too many columns to be read from a UTF-16 database",
                quote(&self.table)
            ))
            .hint("leave it out with --exclude"));
        }
        Ok(())
    }

    /// The expressions of the columns. In a UTF-16 database text is fetched as its stored bytes:
    /// asked for UTF-8, SQLite turns an unpaired surrogate into another, valid character.
    fn expressions(&self) -> String {
        let mut list = Vec::with_capacity(self.columns.len() * 2);
        for column in &self.columns {
            let column = quote(column);
            if self.utf16() {
                list.push(format!(
                    "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"
                ));
            } else {
                list.push(column);
            }
        }
        if self.utf16() {
            list.extend(
                self.columns.iter().map(|column| format!("typeof({})='text'", quote(column))),
            );
        }
        list.join(",")
    }

    /// Places in the result that belong to one row's values.
    fn width(&self) -> usize {
        if self.utf16() { self.columns.len() * 2 } else { self.columns.len() }
    }

    /// The scan of a range in storage order, with the key's values behind the columns.
    ///
    /// `NOT INDEXED` keeps SQLite from reading a covering index instead of the table, whose
    /// order would be another one.
    fn scan(&self, bounds: Bounds) -> String {
        let mut list = self.expressions();
        let key = self.key();
        for column in &key {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(column);
        }
        if list.is_empty() {
            list.push('0');
        }
        let table = quote(&self.table);
        let columns = key.join(",");
        match (&self.address, bounds) {
            (RowAddress::Ordinal, _) => {
                format!("SELECT {list} FROM {table} NOT INDEXED")
            }
            (RowAddress::Integer { .. }, _) => format!(
                "SELECT {list} FROM {table} NOT INDEXED WHERE {columns} BETWEEN ?1 AND ?2 ORDER BY {columns}"
            ),
            (RowAddress::Key { .. }, Bounds { after, through }) => {
                let places = |first: usize| {
                    (first..first + key.len())
                        .map(|i| format!("?{i}"))
                        .collect::<Vec<_>>()
                        .join(",")
                };
                let mut conditions = Vec::new();
                if after {
                    conditions.push(format!("({columns}) > ({})", places(1)));
                }
                if through {
                    let first = if after { 1 + key.len() } else { 1 };
                    conditions.push(format!("({columns}) <= ({})", places(first)));
                }
                let filter = if conditions.is_empty() {
                    String::new()
                } else {
                    format!(" WHERE {}", conditions.join(" AND "))
                };
                format!("SELECT {list} FROM {table}{filter} ORDER BY {columns}")
            }
        }
    }

    /// The key's columns, quoted. A bare `rowid` may be quoted too: SQLite finds it all the same.
    fn key(&self) -> Vec<String> {
        match &self.address {
            RowAddress::Integer { column } => vec![quote(column)],
            RowAddress::Key { columns } => columns.iter().map(|column| quote(column)).collect(),
            RowAddress::Ordinal => Vec::new(),
        }
    }

    /// Copies one result row's values to `sink`.
    ///
    /// # Errors
    /// SQLite could not give a value.
    #[inline]
    pub fn values(
        &self,
        row: &Row<'_>,
        scratch: &mut Vec<u8>,
        mut sink: impl FnMut(usize, Raw<'_>),
    ) -> rusqlite::Result<()> {
        for place in 0..self.columns.len() {
            match row.get_ref(place)? {
                ValueRef::Null => sink(place, Raw::Null),
                ValueRef::Integer(integer) => sink(place, Raw::Integer(integer)),
                ValueRef::Real(real) => sink(place, Raw::Real(real)),
                ValueRef::Text(text) => sink(place, Raw::Text(text)),
                ValueRef::Blob(blob) => {
                    if self.utf16()
                        && row.get_ref(self.columns.len() + place)? == ValueRef::Integer(1)
                    {
                        utf16_to_utf8(blob, self.encoding, scratch);
                        sink(place, Raw::Text(scratch));
                    } else {
                        sink(place, Raw::Blob(blob));
                    }
                }
            }
        }
        Ok(())
    }

    fn utf16(&self) -> bool {
        self.encoding != TextEncoding::Utf8
    }

    /// The integer key of a row of this scan.
    ///
    /// # Errors
    /// SQLite could not give it.
    #[inline]
    pub fn integer_key(&self, row: &Row<'_>) -> rusqlite::Result<i64> {
        row.get(self.width())
    }

    /// The whole key of a row of this scan.
    ///
    /// # Errors
    /// SQLite could not give it.
    pub fn key_values(&self, row: &Row<'_>) -> rusqlite::Result<Vec<KeyValue>> {
        let RowAddress::Key { columns } = &self.address else { return Ok(Vec::new()) };
        (self.width()..self.width() + columns.len())
            .map(|place| {
                Ok(match row.get_ref(place)? {
                    // A key of this kind never holds NULL; an empty blob sorts after all else.
                    ValueRef::Null => KeyValue::Blob(Vec::new()),
                    ValueRef::Integer(integer) => KeyValue::Integer(integer),
                    ValueRef::Real(real) => KeyValue::Real(real.to_bits()),
                    ValueRef::Text(text) => KeyValue::Text(text.to_vec()),
                    ValueRef::Blob(blob) => KeyValue::Blob(blob.to_vec()),
                })
            })
            .collect()
    }
}

/// UTF-16 bytes as UTF-8. An unpaired surrogate becomes the three bytes that it would have in
/// UTF-8, were it allowed there: no valid UTF-8, so that the checks of text find it.
fn utf16_to_utf8(bytes: &[u8], encoding: TextEncoding, out: &mut Vec<u8>) {
    out.clear();
    let units = bytes.chunks_exact(2).map(|pair| match encoding {
        TextEncoding::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
        _ => u16::from_le_bytes([pair[0], pair[1]]),
    });
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Err(unpaired) => {
                let unit = unpaired.unpaired_surrogate();
                out.extend_from_slice(&[
                    0xe0 | (unit >> 12) as u8,
                    0x80 | (unit >> 6 & 0x3f) as u8,
                    0x80 | (unit & 0x3f) as u8,
                ]);
            }
        }
    }
    if bytes.len() % 2 == 1 {
        out.push(0xff);
    }
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

/// Runs the scan of `range` on `connection` and hands each row to `each` until that says stop.
///
/// # Errors
/// SQLite's, or those of `each`, with the table named.
pub fn scan(
    connection: &Connection,
    query: &TableQuery,
    range: &KeyRange,
    each: impl FnMut(&Row<'_>) -> Result<Next>,
) -> Result<()> {
    let failed = |error: rusqlite::Error| read_error(&query.table, error);
    let walk = |mut rows: Rows<'_>| -> Result<()> {
        let mut each = each;
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
                connection.prepare_cached(&query.scan(Bounds::default())).map_err(failed)?;
            walk(statement.query([first, last]).map_err(failed)?)
        }
        KeyRange::Key { after, through } => {
            let bounds = Bounds { after: after.is_some(), through: through.is_some() };
            let mut statement = connection.prepare_cached(&query.scan(bounds)).map_err(failed)?;
            let values = after.iter().flatten().chain(through.iter().flatten());
            walk(statement.query(rusqlite::params_from_iter(values)).map_err(failed)?)
        }
        KeyRange::Ordinal { .. } => {
            let mut statement =
                connection.prepare_cached(&query.scan(Bounds::default())).map_err(failed)?;
            walk(statement.query([]).map_err(failed)?)
        }
    }
}

/// Whether a scan goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Next {
    Row,
    Stop,
}

/// SQLite's error while reading a table, in our words.
#[must_use]
pub fn read_error(table: &str, error: rusqlite::Error) -> Error {
    Error::failed(format!("cannot read table {}", quote(table)))
        .caused_by(error)
        .hint("check the file with: sqlite3 FILE 'PRAGMA integrity_check'")
}

/// A reader of chunks: one connection on the fenced state.
pub struct ChunkReader {
    connection: Source,
    queries: Arc<[TableQuery]>,
    scratch: Vec<u8>,
}

impl ChunkReader {
    /// A reader over `connection`; `queries` are the plan's tables in their order.
    pub fn new(connection: Source, queries: Arc<[TableQuery]>) -> Self {
        // A statement a table and kind of range, kept while the table is being read.
        connection.set_prepared_statement_cache_capacity(8);
        Self { connection, queries, scratch: Vec::new() }
    }

    /// Reads all chunks of a table whose rows have no key, in one scan: `batch` is asked for a
    /// batch before each chunk and `done` given the full one.
    ///
    /// # Errors
    /// The source cannot be read, or has other rows than the plan found; and those of the two.
    pub fn read_in_order(
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
        scan(&self.connection, query, &whole, |row| {
            if current.is_none() {
                let Some(chunk) = ahead.next() else { return Err(changed(&query.table)) };
                current = Some((chunk, batch(chunk)?));
            }
            if let Some((chunk, filling)) = &mut current {
                query
                    .values(row, scratch, |_, raw| filling.push(raw))
                    .map_err(|error| read_error(&query.table, error))?;
                filling.end_row();
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

impl Reader for ChunkReader {
    fn read(&mut self, table: usize, chunk: &Chunk, batch: &mut RowBatch) -> Result<()> {
        let query = &self.queries[table];
        let scratch = &mut self.scratch;
        scan(&self.connection, query, &chunk.range, |row| {
            query
                .values(row, scratch, |_, raw| batch.push(raw))
                .map_err(|error| read_error(&query.table, error))?;
            batch.end_row();
            Ok(Next::Row)
        })?;
        if batch.rows() != chunk.rows {
            return Err(changed(&query.table));
        }
        Ok(())
    }
}

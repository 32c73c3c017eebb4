//! The collector: a function inside SQLite that takes the rows of a query into a row batch.
//!
//! To fetch a row at a time, and then value by value, costs more in SQLite's interface than SQLite
//! needs to find them: half the time of a scan was measured there. An aggregate function is called
//! from inside the scan, once a row, with all its values at hand.

use crate::codec::row_batch::RowBatch;
use crate::codec::sqlite_value::SqliteValue;
use crate::sqlite::read::query::{COLLECT_FUNCTION, TableQuery, TextEncoding};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, OptionalExtension, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A batch that is being filled.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// The rows so far.
    pub(crate) batch: RowBatch,
    /// Collecting ended before the query did.
    pub(crate) full: bool,
    /// The last row's key.
    pub(crate) last: Option<i64>,
    /// Collecting ends after the row with which the batch holds so many bytes.
    most: usize,
    /// Each row's key stands before its columns.
    with_keys: bool,
    columns: usize,
    encoding: TextEncoding,
    scratch: Vec<u8>,
}

impl BatchBuilder {
    /// An empty `batch` for rows of `query`.
    pub(crate) fn new(query: &TableQuery, batch: RowBatch) -> Self {
        Self {
            batch,
            full: false,
            last: None,
            most: usize::MAX,
            with_keys: false,
            columns: query.columns.len(),
            encoding: query.encoding,
            scratch: Vec::new(),
        }
    }

    /// The same, of about `most` bytes, each row with its key before its columns.
    pub(crate) fn with_keys(query: &TableQuery, batch: RowBatch, most: usize) -> Self {
        Self { most, with_keys: true, ..Self::new(query, batch) }
    }

    /// Forgets the rows so far.
    pub(crate) fn reset(&mut self) {
        self.batch.clear(usize::MAX);
        (self.full, self.last) = (false, None);
    }

    /// Starts the row of this key.
    #[inline]
    pub(crate) fn start(&mut self, key: i64) -> Result<()> {
        // Ranges are cut, and a scan goes on behind the last key, as keys ascend.
        if self.last.replace(key).is_some_and(|last| last >= key) {
            return Err(Error::UserFunctionError("rows came out of their order".into()));
        }
        if self.with_keys {
            self.batch.push(SqliteValue::Integer(key));
        }
        Ok(())
    }

    /// Ends a row; says whether it was the last for which there is room.
    #[inline]
    pub(crate) fn end(&mut self) -> bool {
        self.batch.end_row();
        self.full = self.batch.byte_len() >= self.most;
        self.full
    }

    /// Takes a row: its key, its columns, and in a UTF-16 database which of them are text.
    #[inline]
    fn take(&mut self, row: &Context<'_>) -> Result<()> {
        self.start(row.get::<i64>(0)?)?;
        if self.encoding == TextEncoding::Utf8 {
            for place in 1..=self.columns {
                self.batch.push(raw(row.get_raw(place)));
            }
        } else {
            for place in 1..=self.columns {
                let is_text = row.get_raw(self.columns + place) == ValueRef::Integer(1);
                let value = row.get_raw(place);
                self.batch.push(raw_utf16(value, is_text, self.encoding, &mut self.scratch));
            }
        }
        if self.end() {
            // The only way to end a query from inside.
            return Err(Error::UserFunctionError("the batch is full".into()));
        }
        Ok(())
    }
}

/// A stored value, as it is.
#[inline]
pub(crate) fn raw(value: ValueRef<'_>) -> SqliteValue<'_> {
    match value {
        ValueRef::Null => SqliteValue::Null,
        ValueRef::Integer(integer) => SqliteValue::Integer(integer),
        ValueRef::Real(real) => SqliteValue::Real(real),
        ValueRef::Text(text) => SqliteValue::Text(text),
        ValueRef::Blob(blob) => SqliteValue::Blob(blob),
    }
}

/// A stored value of a UTF-16 database, of which text was fetched as its bytes.
pub(crate) fn raw_utf16<'a>(
    value: ValueRef<'a>,
    is_text: bool,
    encoding: TextEncoding,
    scratch: &'a mut Vec<u8>,
) -> SqliteValue<'a> {
    match value {
        ValueRef::Blob(units) if is_text => {
            utf16_to_utf8(units, encoding, scratch);
            SqliteValue::Text(scratch)
        }
        value => raw(value),
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

/// The collector of one connection.
pub(crate) struct Collector(Slot);

/// Where a batch waits for its query, and the full one for whoever wants it.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<BatchBuilder>>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<BatchBuilder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aggregate<BatchBuilder, Option<i64>> for Slot {
    fn init(&self, _: &mut Context<'_>) -> Result<BatchBuilder> {
        self.lock().take().ok_or_else(|| Error::UserFunctionError("no batch to fill".into()))
    }

    fn step(&self, row: &mut Context<'_>, filling: &mut BatchBuilder) -> Result<()> {
        filling.take(row)
    }

    /// Also called when the query failed.
    fn finalize(&self, _: &mut Context<'_>, filling: Option<BatchBuilder>) -> Result<Option<i64>> {
        if let Some(filling) = filling {
            *self.lock() = Some(filling);
        }
        Ok(None)
    }
}

impl Collector {
    /// Installs the function on `connection`, out of reach of its schema.
    pub(crate) fn install(connection: &Connection) -> Result<Self> {
        let slot = Slot::default();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        connection.create_aggregate_function(COLLECT_FUNCTION, -1, flags, slot.clone())?;
        Ok(Self(slot))
    }

    /// Fills a batch with the rows from the key `first` to `last`, both included, until it is full.
    pub(crate) fn fill(
        &self,
        connection: &Connection,
        collect: &str,
        (first, last): (i64, i64),
        filling: BatchBuilder,
    ) -> Result<BatchBuilder> {
        *self.0.lock() = Some(filling);
        let done = connection
            .prepare_cached(collect)
            .and_then(|mut query| query.query_row([first, last], |_| Ok(())).optional());
        let filling = self.0.lock().take().ok_or(Error::InvalidQuery)?;
        match done {
            Err(error) if !filling.full => Err(error),
            _ => Ok(filling),
        }
    }
}

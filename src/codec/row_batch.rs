//! A row batch: the stored rows of a chunk, as the reader copied them.
//!
//! Each value is a tag byte, then its payload: 8 bytes for numbers; a `u32` length and the bytes
//! for text and blobs. The values of a row are adjacent, so that the encoder makes one pass.

use crate::codec::sqlite_value::SqliteValue;
use bytes::BytesMut;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// The stored rows of one chunk.
#[derive(Debug, Default)]
pub struct RowBatch {
    rows: u64,
    data: BytesMut,
}

impl RowBatch {
    /// An empty batch with room for `bytes` bytes of values, in the memory of `spare`, whose content
    /// is discarded.
    pub(crate) fn new(mut spare: BytesMut, bytes: usize) -> Self {
        spare.clear();
        spare.reserve(bytes);
        Self { rows: 0, data: spare }
    }

    /// The batch's memory, for another use.
    pub(crate) fn into_spare(self) -> BytesMut {
        self.data
    }

    /// Empties the batch. Its memory is kept unless it is much larger than `max_retained` bytes.
    pub(crate) fn clear(&mut self, max_retained: usize) {
        self.rows = 0;
        self.data.clear();
        if self.data.capacity() > max_retained.saturating_mul(2) {
            self.data = BytesMut::new();
        }
    }

    /// Appends one value to the current row.
    #[inline(always)]
    pub fn push(&mut self, value: SqliteValue<'_>) {
        match value {
            SqliteValue::Null => self.data.extend_from_slice(&[NULL]),
            SqliteValue::Integer(integer) => self.push_number(INTEGER, integer.to_be_bytes()),
            SqliteValue::Real(real) => self.push_number(REAL, real.to_bits().to_be_bytes()),
            SqliteValue::Text(bytes) => self.push_bytes(TEXT, bytes),
            SqliteValue::Blob(bytes) => self.push_bytes(BLOB, bytes),
        }
    }

    /// One append per number: this is the readers' innermost loop.
    #[inline]
    fn push_number(&mut self, tag: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) {
        self.data.extend_from_slice(&[tag, a, b, c, d, e, f, g, h]);
    }

    #[inline]
    fn push_bytes(&mut self, tag: u8, bytes: &[u8]) {
        // SQLite's own limit on a value is 2^31 - 1 bytes.
        let [a, b, c, d] = (bytes.len() as u32).to_be_bytes();
        self.data.extend_from_slice(&[tag, a, b, c, d]);
        self.data.extend_from_slice(bytes);
    }

    /// Ends the current row.
    #[inline]
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// The number of complete rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The size in bytes.
    pub fn byte_len(&self) -> usize {
        self.data.len()
    }

    /// The values in order, row after row. The caller knows the number of columns.
    pub fn values(&self) -> Values<'_> {
        Values { rest: &self.data }
    }
}

/// The values of a batch, in order.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    #[inline]
    fn take_bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = SqliteValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<SqliteValue<'a>> {
        let [tag] = self.take()?;
        match tag {
            NULL => Some(SqliteValue::Null),
            INTEGER => Some(SqliteValue::Integer(i64::from_be_bytes(self.take()?))),
            REAL => Some(SqliteValue::Real(f64::from_bits(u64::from_be_bytes(self.take()?)))),
            TEXT => Some(SqliteValue::Text(self.take_bytes()?)),
            BLOB => Some(SqliteValue::Blob(self.take_bytes()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_returns_the_pushed_values() {
        let values = [
            SqliteValue::Null,
            SqliteValue::Integer(i64::MIN),
            SqliteValue::Real(-0.0),
            SqliteValue::Text(b"a\0\xff"),
            SqliteValue::Blob(b""),
            SqliteValue::Real(f64::INFINITY),
        ];
        let mut batch = RowBatch::default();
        for value in values {
            batch.push(value);
        }
        batch.end_row();
        assert_eq!(batch.rows(), 1);
        assert_eq!(batch.values().collect::<Vec<_>>(), values);
    }
}

//! Records: a row in the file, as serial types followed by fields.

use crate::codec::row_batch::RowBatch;
use crate::codec::sqlite_value::SqliteValue;
use crate::sqlite::read::btree::layout::{Layout, Value};

/// The serial type and offset of each field of the current row.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(u64, usize)>);

impl Fields {
    /// Appends the values of a row to a batch; `None` if the record is unexpected. A row that is
    /// older than an added column has fewer fields than the table, and only SQLite knows the default.
    #[inline]
    pub(crate) fn push(
        &mut self,
        layout: &Layout,
        key: i64,
        row: &[u8],
        batch: &mut RowBatch,
    ) -> Option<()> {
        let (head, mut types) = varint(row)?;
        let head = usize::try_from(head).ok()?;
        types = types.get(..head.checked_sub(row.len() - types.len())?)?;
        let mut end = head;
        self.0.clear();
        for _ in 0..layout.fields {
            let (kind, rest) = varint(types)?;
            types = rest;
            self.0.push((kind, end));
            end = end.checked_add(width(kind)?)?;
        }
        // Ensures that no field exceeds the row, and that all fields together fill it.
        row.get(..end)?;
        if types.is_empty() && end < row.len() {
            return None;
        }
        for value in &layout.values {
            batch.push(match *value {
                Value::Key => SqliteValue::Integer(key),
                Value::Field(index) => self.value(index, row)?,
                Value::RealField(index) => match self.value(index, row)? {
                    SqliteValue::Integer(integer) => SqliteValue::Real(integer as f64),
                    raw => raw,
                },
            });
        }
        Some(())
    }

    #[inline]
    fn value<'a>(&self, index: usize, row: &'a [u8]) -> Option<SqliteValue<'a>> {
        let &(kind, at) = self.0.get(index)?;
        decode(kind, row.get(at..)?)
    }
}

/// Reads the first values of a record; `None` if it is unexpected.
#[inline]
pub(crate) fn read<'a>(record: &'a [u8], values: &mut [SqliteValue<'a>]) -> Option<()> {
    let (head, rest) = varint(record)?;
    let (head, mut fields) = record.split_at_checked(usize::try_from(head).ok()?)?;
    let mut types = head.get(record.len() - rest.len()..)?;
    for value in values {
        let (kind, rest) = varint(types)?;
        types = rest;
        let (bytes, rest) = fields.split_at_checked(width(kind)?)?;
        fields = rest;
        *value = decode(kind, bytes)?;
    }
    // All fields together fill the record.
    if types.is_empty() && !fields.is_empty() { None } else { Some(()) }
}

/// The value of a field of this serial type, at the start of `bytes`.
#[inline]
fn decode(kind: u64, bytes: &[u8]) -> Option<SqliteValue<'_>> {
    Some(match kind {
        0 => SqliteValue::Null,
        1 => SqliteValue::Integer(i64::from(i8::from_be_bytes(*bytes.first_chunk()?))),
        2 => SqliteValue::Integer(i64::from(i16::from_be_bytes(*bytes.first_chunk()?))),
        3 => SqliteValue::Integer(signed::<3>(bytes)?),
        4 => SqliteValue::Integer(i64::from(i32::from_be_bytes(*bytes.first_chunk()?))),
        5 => SqliteValue::Integer(signed::<6>(bytes)?),
        6 => SqliteValue::Integer(i64::from_be_bytes(*bytes.first_chunk()?)),
        7 => {
            let real = f64::from_be_bytes(*bytes.first_chunk()?);
            // SQLite reads NaN as NULL.
            if real.is_nan() { SqliteValue::Null } else { SqliteValue::Real(real) }
        }
        8 => SqliteValue::Integer(0),
        9 => SqliteValue::Integer(1),
        _ => {
            let bytes = bytes.get(..width(kind)?)?;
            if kind.is_multiple_of(2) { SqliteValue::Blob(bytes) } else { SqliteValue::Text(bytes) }
        }
    })
}

/// A big-endian integer of `N` bytes.
#[inline]
fn signed<const N: usize>(bytes: &[u8]) -> Option<i64> {
    let bytes = bytes.first_chunk::<N>()?;
    let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(start, |number, &byte| number << 8 | i64::from(byte)))
}

/// The size in bytes of a field of this serial type; `None` for the two reserved types.
#[inline]
fn width(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind as usize),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

/// A number of one to nine bytes, and the bytes after it.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 { Some((u64::from(first), rest)) } else { long_varint(bytes) }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some((number << 8 | u64::from(byte), &bytes[9..]));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

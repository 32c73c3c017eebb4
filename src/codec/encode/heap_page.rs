//! The server's page: how wide a row is in it, at the least.
//!
//! A row must fit a page once the server has moved out of it what it can. A table with many
//! columns can have rows that do not; the server says so only when such a row arrives.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encode::column_encoder::MAX_FIELD;
use crate::schema::column_type::ColumnType;

/// The most bytes of one row in a page: a page less its head and one line pointer.
/// Source: `MaxHeapTupleSize` in PostgreSQL's htup_details.h, for pages of 8 KiB.
const MAX_ROW: usize = 8_160;

/// The least bytes that a value longer than this can be brought down to is a pointer of 18 bytes;
/// shorter values are not moved out. Source: `TOAST_POINTER_SIZE` in PostgreSQL's toast_internals.h.
const MAX_KEPT_INLINE: usize = 24;
const POINTER: usize = 18;

/// Tables with fewer columns than this always fit: a column needs at most 24 bytes in the page.
pub(crate) const COLUMNS_THAT_ALWAYS_FIT: usize = MAX_ROW / MAX_KEPT_INLINE - 16;

/// Whether the tuple (as COPY has it, field count first) fits a page, and a message of the server.
pub(crate) fn fits(casts: &[ColumnEncoder], tuple: &[u8]) -> bool {
    if tuple.len() > MAX_FIELD {
        return false;
    }
    casts.len() <= COLUMNS_THAT_ALWAYS_FIT
        || least_width(casts, tuple).is_some_and(|width| width <= MAX_ROW)
}

/// The width in the page, alignment included; `None` where the bytes are no such tuple.
fn least_width(casts: &[ColumnEncoder], tuple: &[u8]) -> Option<usize> {
    // The head of a row, with a bit for each column that can be NULL, aligned.
    let mut width = (23 + casts.len().div_ceil(8)).next_multiple_of(8);
    let mut rest = tuple.get(2..)?;
    for cast in casts {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            continue;
        };
        rest = after.get(length..)?;
        let (align, bytes) = match cast.form.column_type() {
            ColumnType::Boolean => (1, 1),
            ColumnType::SmallInt => (2, 2),
            ColumnType::Integer | ColumnType::Real | ColumnType::Date => (4, 4),
            ColumnType::BigInt
            | ColumnType::Double
            | ColumnType::Time
            | ColumnType::Timestamp
            | ColumnType::TimestampTz => (8, 8),
            ColumnType::Uuid => (1, 16),
            // A short value has a head of one byte and is not aligned.
            _ if length < MAX_KEPT_INLINE => (1, length + 1),
            _ => (1, POINTER),
        };
        width = width.next_multiple_of(align) + bytes;
    }
    Some(width)
}

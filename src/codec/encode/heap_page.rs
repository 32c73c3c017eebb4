//! The minimum width of a row in a page of the server.
//!
//! A row must fit a page after the server has moved large values out of it (TOAST). Rows of a table
//! with many columns may not fit, and the server reports it only when such a row arrives.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::field::MAX_FIELD;
use crate::codec::tuple::{Field, fields};
use crate::codec::types;

/// The maximum bytes of a row in a page: the page without its header and one line pointer.
/// Source: `MaxHeapTupleSize` in PostgreSQL's htup_details.h, for pages of 8 KiB.
const MAX_ROW: usize = 8_160;

/// Values shorter than this stay in the row. Longer ones can be replaced by a pointer of 18 bytes.
/// Source: `TOAST_POINTER_SIZE` in PostgreSQL's toast_internals.h.
const MAX_KEPT_INLINE: usize = 24;
const POINTER: usize = 18;

/// Rows of so many columns always fit: a column needs at most 24 bytes in the page.
pub(crate) const COLUMNS_THAT_ALWAYS_FIT: usize = MAX_ROW / MAX_KEPT_INLINE - 16;

/// The tuple, in the format of COPY, fits a page and a message of the server.
pub(crate) fn fits(encoders: &[ColumnEncoder], tuple: &[u8]) -> bool {
    if tuple.len() > MAX_FIELD {
        return false;
    }
    encoders.len() <= COLUMNS_THAT_ALWAYS_FIT || min_width(encoders, tuple) <= MAX_ROW
}

/// The width in the page, alignment included.
fn min_width(encoders: &[ColumnEncoder], tuple: &[u8]) -> usize {
    // The header of a row with its NULL bitmap, aligned.
    let mut width = (23 + encoders.len().div_ceil(8)).next_multiple_of(8);
    for (encoder, field) in encoders.iter().zip(fields(tuple)) {
        let Field::Bytes(bytes) = field else { continue };
        let (align, size) = match types::heap_size(encoder.encoding.column_type) {
            Some(fixed) => fixed,
            // A short value has a header of one byte and is not aligned.
            None if bytes.len() < MAX_KEPT_INLINE => (1, bytes.len() + 1),
            None => (1, POINTER),
        };
        width = width.next_multiple_of(align) + size;
    }
    width
}

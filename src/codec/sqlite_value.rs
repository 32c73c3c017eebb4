//! A stored value as SQLite has it: a storage class and its bytes.

/// One value, borrowed from whoever read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SqliteValue<'a> {
    /// NULL.
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// An IEEE 754 double; never a NaN (SQLite stores NULL for it).
    Real(f64),
    /// Text as bytes, not yet known to be UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl SqliteValue<'_> {
    /// Bytes of the value itself in a tuple, before any cast: 0 for NULL, 8 for numbers.
    pub(crate) fn width(&self) -> usize {
        match self {
            SqliteValue::Null => 0,
            SqliteValue::Integer(_) | SqliteValue::Real(_) => 8,
            SqliteValue::Text(bytes) | SqliteValue::Blob(bytes) => bytes.len(),
        }
    }
}

/// Integers whose magnitude is at most this are doubles exactly (2^53).
pub(crate) const EXACT_IN_DOUBLE: i64 = 1 << 53;

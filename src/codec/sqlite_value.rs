//! A value as SQLite stores it: a storage class and its bytes.

/// One borrowed value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SqliteValue<'a> {
    /// NULL.
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// An IEEE 754 double; never a NaN (SQLite stores NULL for it).
    Real(f64),
    /// Text as bytes, which may be invalid UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl SqliteValue<'_> {
    /// The bytes of the value in a tuple before it is encoded: 0 for NULL, 8 for numbers.
    pub(crate) fn width(&self) -> usize {
        match self {
            SqliteValue::Null => 0,
            SqliteValue::Integer(_) | SqliteValue::Real(_) => 8,
            SqliteValue::Text(bytes) | SqliteValue::Blob(bytes) => bytes.len(),
        }
    }
}

/// The largest magnitude up to which a double holds every integer (2^53).
pub(crate) const EXACT_IN_DOUBLE: u64 = 1 << 53;

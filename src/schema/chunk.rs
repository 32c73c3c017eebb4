//! Chunks: the unit of work, and the key ranges that bound them.

use serde::{Deserialize, Serialize};

/// A part of one table that is read, encoded, committed, recorded and retried as a whole. The plan
/// fixes the number and the range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// The chunk's number in its table, from 1.
    pub(crate) number: u32,
    pub(crate) range: KeyRange,
    pub(crate) rows: u64,
    /// The size of the rows as tuples before they are encoded: a length word per field, and the values.
    pub(crate) bytes: u64,
}

/// A range of rows in storage order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyRange {
    /// Integer keys from `first` to `last`, both included.
    Integer { first: i64, last: i64 },
    /// Keys after one key and up to another; `None` means no bound.
    Key {
        /// The last key before the range.
        after: Option<Vec<KeyValue>>,
        /// The last key of the range.
        through: Option<Vec<KeyValue>>,
    },
    /// `rows` rows of the scan in storage order, after the first `skip` rows.
    Ordinal { skip: u64, rows: u64 },
}

/// One value of a key that bounds a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyValue {
    Integer(i64),
    /// A double, by its bits.
    Real(u64),
    /// Text, as bytes.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl KeyValue {
    /// The size of the value in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
        }
    }

    /// Keeps the first `length` bytes of text or a blob.
    pub(crate) fn truncate(&mut self, length: usize) {
        if let Self::Text(bytes) | Self::Blob(bytes) = self {
            bytes.truncate(length);
            bytes.shrink_to_fit();
        }
    }
}

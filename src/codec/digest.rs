//! The order-free digest of a set of rows.
//!
//! The hash of a row is XXH3-128 of its canonical tuple. A digest is the number of rows and the
//! wrapping sum of their hashes. With XOR instead of a sum, two equal rows would cancel. The order of
//! rows does not matter, so each thread can sum its own part.

use crate::codec::sqlite_value::SqliteValue;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// Row count and sum of row hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The number of rows.
    pub(crate) rows: u64,
    /// The sum of the row hashes, modulo 2^128.
    pub(crate) sum: u128,
}

impl Digest {
    /// Adds one row by its canonical tuple, and returns the row's hash.
    #[inline]
    pub fn add_row(&mut self, tuple: &[u8]) -> u128 {
        let hash = xxh3_128(tuple);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
        hash
    }

    /// Adds the key of a row.
    #[inline]
    pub(crate) fn add_key(&mut self, key: KeyHash) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from(key.0));
    }

    /// The sum as 16 bytes, for the ledger.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        self.sum.to_be_bytes()
    }
}

/// The hash of a key as SQLite stores it: of its rowid and its values. Each value is hashed where it is,
/// with the hash of those before it as the seed. Equal numbers have equal hashes in both storage classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// The hash of a key without values.
    #[inline]
    pub(crate) fn new(rowid: i64) -> Self {
        Self(rowid.cast_unsigned())
    }

    /// Adds a value.
    #[inline]
    pub(crate) fn add(&mut self, value: SqliteValue<'_>) {
        const INTEGER: u64 = 0x9e37_79b9_7f4a_7c15;
        let (number, class) = match value {
            SqliteValue::Null => return self.add_bytes(&[], 0x5851_f42d_4c95_7f2d),
            SqliteValue::Text(text) => return self.add_bytes(text, 0xd6e8_feb8_6659_fd93),
            SqliteValue::Blob(blob) => return self.add_bytes(blob, 0xa076_1d64_78bd_642f),
            SqliteValue::Integer(integer) => (integer.cast_unsigned(), INTEGER),
            SqliteValue::Real(real) if real as i64 as f64 == real => {
                ((real as i64).cast_unsigned(), INTEGER)
            }
            SqliteValue::Real(real) => (real.to_bits(), 0xe703_7ed1_a0b4_28db),
        };
        self.add_bytes(&number.to_be_bytes(), class);
    }

    /// Adds the bytes of a value; `class` differs for each storage class.
    #[inline]
    fn add_bytes(&mut self, bytes: &[u8], class: u64) {
        self.0 = xxh3_64_with_seed(bytes, self.0 ^ class);
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&str]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| _ = digest.add_row(row.as_bytes()));
        digest
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_or_the_parts() {
        let mut parts = digest(&["", "b"]);
        parts += digest(&["b", "a"]);
        assert_eq!(parts, digest(&["a", "b", "b", ""]));
    }

    #[test]
    fn equal_rows_do_not_cancel() {
        assert_ne!(digest(&["row"]).sum, digest(&["row"; 3]).sum);
        assert_ne!(digest(&["row"; 2]).sum, digest(&["other"; 2]).sum);
    }
}

//! The order-free digest of a set of rows.
//!
//! The hash of a row is XXH3-128 of its canonical tuple. A digest is the number of rows and the
//! wrapping sum of their hashes. With XOR instead of a sum, two equal rows would cancel. The order of
//! rows does not matter, so each thread can sum its own part.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use xxhash_rust::xxh3::xxh3_128;

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

    /// The sum as 16 bytes, for the ledger.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        self.sum.to_be_bytes()
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

    #[test]
    fn a_digest_does_not_depend_on_the_order_or_the_parts() {
        let rows: [&[u8]; 4] = [b"a", b"b", b"b", b""];
        let mut whole = Digest::default();
        rows.iter().for_each(|row| _ = whole.add_row(row));
        let (mut left, mut right) = (Digest::default(), Digest::default());
        left.add_row(rows[3]);
        left.add_row(rows[1]);
        right.add_row(rows[2]);
        right.add_row(rows[0]);
        left += right;
        assert_eq!(whole, left);
    }

    #[test]
    fn equal_rows_do_not_cancel() {
        let mut once = Digest::default();
        once.add_row(b"row");
        let mut thrice = once;
        thrice.add_row(b"row");
        thrice.add_row(b"row");
        assert_ne!(once.sum, thrice.sum);
        let mut changed_pair = Digest::default();
        changed_pair.add_row(b"other");
        changed_pair.add_row(b"other");
        let mut pair = Digest::default();
        pair.add_row(b"row");
        pair.add_row(b"row");
        assert_ne!(pair.sum, changed_pair.sum);
    }
}

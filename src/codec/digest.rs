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

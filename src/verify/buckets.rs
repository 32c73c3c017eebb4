//! Buckets: parts of a table with a digest each, so that only the parts that differ are read again.

use crate::codec::digest::Digest;
use crate::codec::tuple::{self, Field};
use crate::verify::compared_table::ComparedTable;

/// The maximum number of buckets of a table: 2 MiB of digests.
const MAX_BUCKETS: usize = 65_536;

/// The minimum number of rows of a bucket by row hash: fewer would only cost memory.
const MIN_BUCKET_ROWS: u64 = 16;

/// The rule that assigns rows to buckets.
#[derive(Debug, Clone)]
pub(crate) enum Buckets {
    /// By ranges of an integer key, which can be read again alone.
    Keys {
        /// The key's index in the tuple.
        field: usize,
        /// The first key of each bucket. The first bucket also holds all smaller keys.
        firsts: Vec<i64>,
    },
    /// By the low bits of the row's hash.
    Hashes { mask: u128 },
}

impl Buckets {
    pub(crate) fn for_table(table: &ComparedTable) -> Self {
        match table.integer_key {
            Some(field) => {
                let firsts = table.first_keys();
                let every = firsts.len().div_ceil(MAX_BUCKETS).max(1);
                Self::Keys { field, firsts: firsts.into_iter().step_by(every).collect() }
            }
            None => {
                let rows: u64 = table.chunks.iter().map(|chunk| chunk.rows).sum();
                let wanted = (rows / MIN_BUCKET_ROWS).clamp(1, MAX_BUCKETS as u64);
                Self::Hashes { mask: u128::from(wanted.next_power_of_two() - 1) }
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Keys { firsts, .. } => firsts.len().max(1),
            Self::Hashes { mask } => *mask as usize + 1,
        }
    }

    /// The bucket of a row, by its canonical tuple and the tuple's hash. The previous row's bucket is
    /// tried first: rows mostly come in the order of their keys.
    #[inline]
    pub(crate) fn bucket_of(&self, tuple: &[u8], hash: u128, previous: usize) -> usize {
        match self {
            Self::Keys { field, firsts } => match tuple::fields(tuple).nth(*field) {
                Some(Field::Bytes(bytes)) => {
                    let key = bytes.try_into().map_or(i64::MIN, i64::from_be_bytes);
                    let starts = firsts.get(previous).is_some_and(|first| *first <= key);
                    if starts && firsts.get(previous + 1).is_none_or(|next| key < *next) {
                        return previous;
                    }
                    firsts.partition_point(|first| *first <= key).saturating_sub(1)
                }
                // The key is NULL in PostgreSQL only: the first bucket holds these rows, too.
                _ => 0,
            },
            Self::Hashes { mask } => (hash & mask) as usize,
        }
    }

    /// The first and the last key of a bucket; `None` for buckets by row hash.
    pub(crate) fn keys(&self, bucket: usize) -> Option<(i64, i64)> {
        let Self::Keys { firsts, .. } = self else { return None };
        let first = if bucket == 0 { i64::MIN } else { *firsts.get(bucket)? };
        let last = firsts.get(bucket + 1).map_or(i64::MAX, |next| next - 1);
        Some((first, last))
    }
}

/// The digests of a table's buckets on one side.
#[derive(Debug, Clone)]
pub(crate) struct BucketDigests {
    digests: Vec<Digest>,
    last: usize,
}

impl BucketDigests {
    pub(crate) fn new(count: usize) -> Self {
        Self { digests: vec![Digest::default(); count], last: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.digests.fill(Digest::default());
    }

    #[inline]
    pub(crate) fn add(&mut self, buckets: &Buckets, tuple: &[u8]) {
        let mut row = Digest::default();
        let hash = row.add_row(tuple);
        self.last = buckets.bucket_of(tuple, hash, self.last);
        self.digests[self.last] += row;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.digests.iter_mut().zip(&other.digests) {
            *mine += *theirs;
        }
    }

    pub(crate) fn total(&self) -> Digest {
        let mut total = Digest::default();
        self.digests.iter().for_each(|digest| total += *digest);
        total
    }

    /// The buckets that differ, each with the number of its rows on both sides together.
    pub(crate) fn differing(&self, other: &Self) -> Vec<(usize, u64)> {
        let pairs = self.digests.iter().zip(&other.digests).enumerate();
        pairs
            .filter(|(_, (a, b))| a != b)
            .map(|(bucket, (a, b))| (bucket, a.rows + b.rows))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: i64) -> Vec<u8> {
        [&[0, 1, 0, 0, 0, 8][..], &key.to_be_bytes()].concat()
    }

    #[test]
    fn every_key_has_a_bucket_and_the_bucket_holds_it() {
        let buckets = Buckets::Keys { field: 0, firsts: vec![-5, 10, 20] };
        for key in [i64::MIN, -6, -5, 0, 9, 10, 19, 20, i64::MAX] {
            for previous in 0..3 {
                let bucket = buckets.bucket_of(&row(key), 0, previous);
                let (first, last) = buckets.keys(bucket).unwrap();
                assert!((first..=last).contains(&key), "{key} after bucket {previous}");
            }
        }
        assert_eq!(buckets.bucket_of(&[0, 1, 0xff, 0xff, 0xff, 0xff], 7, 1), 0, "NULL");
    }

    #[test]
    fn only_the_bucket_of_a_changed_row_differs() {
        let buckets = Buckets::Keys { field: 0, firsts: vec![0, 10, 20] };
        let (mut one, mut other) = (BucketDigests::new(3), BucketDigests::new(3));
        for key in 0..30 {
            one.add(&buckets, &row(key));
            let mut tuple = row(key);
            if key == 12 {
                tuple.push(0);
            }
            other.add(&buckets, &tuple);
        }
        assert_eq!(one.differing(&other), [(1, 20)]);
        assert_eq!(one.differing(&one.clone()), []);
    }
}

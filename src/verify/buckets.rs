//! Buckets: the parts of a table whose digests are compared, so that a difference has to be
//! looked for in a part only.

use crate::codec::digest::Digest;
use crate::codec::tuple;
use crate::codec::tuple::Field;
use crate::verify::table_pair::ComparedTable;

/// Buckets of a table at most: 2 MiB of digests.
const MAX_BUCKETS: usize = 65_536;

/// Rows of a bucket at least, where buckets are made by row hash: fewer would only cost memory.
const ROWS_OF_A_BUCKET: u64 = 16;

/// How rows are told apart into buckets.
#[derive(Debug, Clone)]
pub(crate) enum Buckets {
    /// By ranges of an integer key: which can be read again alone.
    Keys {
        /// The key's place in the tuple.
        field: usize,
        /// The first key of each bucket; the first bucket holds all keys before, too.
        firsts: Vec<i64>,
    },
    /// By the low bits of the row's hash.
    Hashes {
        /// These bits.
        mask: u128,
    },
}

impl Buckets {
    /// The buckets of a table.
    pub(crate) fn of(subject: &ComparedTable) -> Self {
        match subject.integer_key {
            Some(field) => {
                let firsts = subject.firsts();
                let every = firsts.len().div_ceil(MAX_BUCKETS).max(1);
                Self::Keys { field, firsts: firsts.into_iter().step_by(every).collect() }
            }
            None => {
                let rows: u64 = subject.chunks.iter().map(|chunk| chunk.rows).sum();
                let wanted = (rows / ROWS_OF_A_BUCKET).clamp(1, MAX_BUCKETS as u64);
                Self::Hashes { mask: u128::from(wanted.next_power_of_two() - 1) }
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Keys { firsts, .. } => firsts.len().max(1),
            Self::Hashes { mask } => *mask as usize + 1,
        }
    }

    /// The bucket of a row, by its canonical tuple and the hash of that. The bucket of the row
    /// before is looked at first: rows mostly come in the order of their keys.
    #[inline]
    pub(crate) fn of_row(&self, tuple: &[u8], hash: u128, before: usize) -> usize {
        match self {
            Self::Keys { field, firsts } => match tuple::fields(tuple).nth(*field) {
                Some(Field::Bytes(bytes)) => {
                    let key = bytes.try_into().map_or(i64::MIN, i64::from_be_bytes);
                    let starts = firsts.get(before).is_some_and(|first| *first <= key);
                    if starts && firsts.get(before + 1).is_none_or(|next| key < *next) {
                        return before;
                    }
                    firsts.partition_point(|first| *first <= key).saturating_sub(1)
                }
                // A key that is NULL in the target only: the first bucket looks for those, too.
                _ => 0,
            },
            Self::Hashes { mask } => (hash & mask) as usize,
        }
    }

    /// The keys of a bucket, first and last; `None` where buckets are no ranges of keys.
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
    /// The bucket of the row that was added last.
    last: usize,
}

impl BucketDigests {
    /// Empty ones.
    pub(crate) fn new(count: usize) -> Self {
        Self { digests: vec![Digest::default(); count], last: 0 }
    }

    /// Empties them.
    pub(crate) fn clear(&mut self) {
        self.digests.fill(Digest::default());
    }

    /// Adds a row.
    #[inline]
    pub(crate) fn add(&mut self, buckets: &Buckets, tuple: &[u8]) {
        let mut row = Digest::default();
        let hash = row.add_row(tuple);
        self.last = buckets.of_row(tuple, hash, self.last);
        self.digests[self.last] += row;
    }

    /// Adds what another part of the table gave.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.digests.iter_mut().zip(&other.digests) {
            *mine += *theirs;
        }
    }

    /// The digest of the whole table.
    pub(crate) fn total(&self) -> Digest {
        let mut total = Digest::default();
        self.digests.iter().for_each(|digest| total += *digest);
        total
    }

    /// The buckets that differ, each with its rows on both sides together.
    pub(crate) fn differing(&self, other: &Self) -> Vec<(usize, u64)> {
        let pairs = self.digests.iter().zip(&other.digests).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(at, (a, b))| (at, a.rows + b.rows)).collect()
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
            for before in 0..3 {
                let bucket = buckets.of_row(&row(key), 0, before);
                let (first, last) = buckets.keys(bucket).unwrap();
                assert!((first..=last).contains(&key), "{key} after bucket {before}");
            }
        }
        assert_eq!(buckets.of_row(&[0, 1, 0xff, 0xff, 0xff, 0xff], 7, 1), 0, "NULL");
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

//! The second look: which rows differ, found by reading again what lies in differing buckets.
//!
//! Rows that both sides have cancel as they come; what is left is told apart by the key into
//! missing, extra and changed rows. Memory is bounded: with a key that is a range, buckets are
//! looked at a group at a time; without one, where too many rows differ, only those are followed
//! whose identity falls into an ever smaller part, and the total becomes "at least".

use crate::codec::tuple;
use crate::codec::tuple::Field;
use crate::error::{Error, Result};
use crate::postgres::copy_out::{Relation, TupleReader};
use crate::report::DifferenceKind;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::Next;
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::buckets::Buckets;
use crate::verify::rows::{SourceRows, TargetRows, Tid};
use crate::verify::table_pair::ComparedTable;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Bytes that one row takes while it is followed: identity, hash, counts and places, and the
/// table's own share.
const BYTES_OF_A_SUSPECT: u64 = 128;

/// Rows that are followed at once, from the memory that rows may take.
pub(crate) fn limit(budget: u64) -> usize {
    usize::try_from(budget / BYTES_OF_A_SUSPECT).unwrap_or(usize::MAX).max(1_024)
}

/// A difference, by the places of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowMismatch {
    /// What is different.
    pub(crate) kind: DifferenceKind,
    /// In how many rows; more than one only of rows that are equal.
    pub(crate) rows: u64,
    /// The row of the source.
    pub(crate) source: Option<i64>,
    /// The row of the target.
    pub(crate) target: Option<Tid>,
}

/// What a second look found.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowDiffResult {
    /// Rows that differ.
    pub(crate) total: u64,
    /// There may be more.
    pub(crate) at_least: bool,
    /// The first of them by their places, as many as are wanted.
    pub(crate) first: Vec<RowMismatch>,
}

/// Where a second look is taken.
pub(crate) struct RowDiff<'a> {
    /// The table.
    pub(crate) subject: &'a ComparedTable,
    /// What holds its rows in the target.
    pub(crate) relations: &'a [Relation],
    /// How its rows were told apart.
    pub(crate) buckets: &'a Buckets,
    /// How many differences are wanted with their places.
    pub(crate) wanted: usize,
    /// How many rows are followed at once.
    pub(crate) limit: usize,
    /// Set from outside to end early.
    pub(crate) stop: &'a AtomicBool,
}

/// A row that is on one side only, as far as both were read.
#[derive(Debug)]
struct Unmatched {
    hash: u128,
    source: u64,
    target: u64,
    source_place: i64,
    target_place: Option<Tid>,
}

/// The rows that are followed, by what identifies them.
struct UnmatchedRows {
    rows: HashMap<u128, Unmatched>,
    limit: usize,
    /// The low half of an identity is at most this, or the row is not followed.
    sample_limit: u64,
}

impl UnmatchedRows {
    fn new(limit: usize) -> Self {
        Self { rows: HashMap::new(), limit, sample_limit: u64::MAX }
    }

    fn follows(&self, identity: u128) -> bool {
        identity as u64 <= self.sample_limit
    }

    fn add_source(&mut self, identity: u128, hash: u128, place: i64) {
        if self.follows(identity) {
            let new =
                Unmatched { hash, source: 0, target: 0, source_place: place, target_place: None };
            self.rows.entry(identity).or_insert(new).source += 1;
            self.shrink();
        }
    }

    /// The source's rows have all come before.
    fn add_target(&mut self, identity: u128, hash: u128, place: Tid) {
        if !self.follows(identity) {
            return;
        }
        match self.rows.entry(identity) {
            Entry::Occupied(mut there) => {
                let suspect = there.get_mut();
                if suspect.source > 0 && suspect.hash == hash {
                    suspect.source -= 1;
                    if suspect.source + suspect.target == 0 {
                        there.remove();
                    }
                } else {
                    suspect.target += 1;
                    suspect.target_place.get_or_insert(place);
                }
            }
            Entry::Vacant(free) => {
                free.insert(Unmatched {
                    hash,
                    source: 0,
                    target: 1,
                    source_place: 0,
                    target_place: Some(place),
                });
                self.shrink();
            }
        }
    }

    /// Follows only half as many rows from now on, where they are too many.
    fn shrink(&mut self) {
        while self.rows.len() > self.limit && self.sample_limit > 0 {
            self.sample_limit /= 2;
            let sample_limit = self.sample_limit;
            self.rows.retain(|identity, _| *identity as u64 <= sample_limit);
        }
    }
}

impl RowDiff<'_> {
    /// Looks at the buckets of `bad`, each with its rows on both sides together.
    pub(crate) fn take(
        &self,
        bad: &[(usize, u64)],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<RowDiffResult> {
        let mut found = RowDiffResult::default();
        let mut rest = bad;
        while !rest.is_empty() {
            let group = self.group(rest);
            rest = &rest[group.len()..];
            let buckets: Vec<usize> = group.iter().map(|(bucket, _)| *bucket).collect();
            let suspects = self.follow(&buckets, connection, client)?;
            self.tell(suspects, &mut found);
        }
        if found.at_least {
            // What was not followed differs too: a changed row spoils two buckets at the most.
            found.total = found.total.max(bad.len().div_ceil(2) as u64);
        }
        Ok(found)
    }

    /// The first buckets that are looked at together.
    fn group<'b>(&self, bad: &'b [(usize, u64)]) -> &'b [(usize, u64)] {
        if let Buckets::Hashes { .. } = self.buckets {
            return bad;
        }
        let mut rows = 0;
        let fits = |(_, more): &&(usize, u64)| {
            rows += more;
            rows <= self.limit as u64
        };
        &bad[..bad.iter().take_while(fits).count().max(1)]
    }

    fn follow(
        &self,
        buckets: &[usize],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<UnmatchedRows> {
        let subject = self.subject;
        let mut suspects = UnmatchedRows::new(self.limit);
        let whole = (subject.whole(), "true".to_owned());
        let parts: Vec<(KeyRange, String)> = match self.buckets {
            Buckets::Hashes { .. } => vec![whole],
            Buckets::Keys { .. } => buckets.iter().filter_map(|&b| self.key_range(b)).collect(),
        };
        let is_bad = |tuple: &[u8], hash| {
            buckets.binary_search(&self.buckets.of_row(tuple, hash, 0)).is_ok()
        };
        let mut source = SourceRows::new(subject);
        for (range, _) in &parts {
            source.read(connection, range, |place, _, tuple| {
                self.look()?;
                let hash = xxh3_128(tuple);
                if is_bad(tuple, hash) {
                    suspects.add_source(self.identity(tuple, hash), hash, place);
                }
                Ok(Next::Row)
            })?;
        }
        let mut target = TargetRows::new(subject);
        for (_, condition) in &parts {
            for relation in self.relations.iter().enumerate() {
                target.read_with_places(client, relation, condition, |place, tuple| {
                    self.look()?;
                    let hash = xxh3_128(tuple);
                    if is_bad(tuple, hash) {
                        suspects.add_target(self.identity(tuple, hash), hash, place);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(suspects)
    }

    fn look(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// A bucket's rows on both sides.
    fn key_range(&self, bucket: usize) -> Option<(KeyRange, String)> {
        let (first, last) = self.buckets.keys(bucket)?;
        let column = &self.subject.columns[self.subject.integer_key?];
        let key = quote(&column.target_name);
        let null = if bucket == 0 { format!(" OR {key} IS NULL") } else { String::new() };
        // Without casts: an index on the key is used.
        let condition = format!("({key} BETWEEN {} AND {}{null})", bigint(first), bigint(last));
        Some((KeyRange::Integer { first, last }, condition))
    }

    /// What a row is recognised by on the other side: its key, or all of it where it has none.
    fn identity(&self, tuple: &[u8], hash: u128) -> u128 {
        let key = &self.subject.key;
        if key.is_empty() {
            return hash;
        }
        let mut hasher = Xxh3::new();
        for (place, field) in tuple::fields(tuple).enumerate() {
            if key.contains(&place) {
                // Rows with a NULL in their key are not unique by it.
                let Field::Bytes(bytes) = field else { return hash };
                hasher.update(&(bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        }
        hasher.digest128()
    }

    /// Adds what is left of the suspects to the findings.
    fn tell(&self, suspects: UnmatchedRows, found: &mut RowDiffResult) {
        found.at_least |= suspects.sample_limit < u64::MAX;
        for suspect in suspects.rows.into_values() {
            let changed = suspect.source.min(suspect.target);
            let source = Some(suspect.source_place);
            let kinds = [
                (DifferenceKind::Changed, changed, source, suspect.target_place),
                (DifferenceKind::Missing, suspect.source - changed, source, None),
                (DifferenceKind::Extra, suspect.target - changed, None, suspect.target_place),
            ];
            for (kind, rows, source, target) in kinds {
                if rows > 0 {
                    found.total += rows;
                    found.first.push(RowMismatch { kind, rows, source, target });
                }
            }
        }
        found.first.sort_unstable_by_key(|s| (s.source.is_none(), s.source, s.target));
        found.first.truncate(self.wanted);
    }
}

/// A literal of type `bigint`; the least one has no other spelling.
fn bigint(value: i64) -> String {
    format!("'{value}'::bigint")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Tid = Tid { relation: 0, block: 0, offset: 1 };

    #[test]
    fn equal_rows_cancel_and_the_others_stay() {
        let mut suspects = UnmatchedRows::new(100);
        for (identity, hash) in [(1, 10), (2, 20), (2, 20), (3, 30)] {
            suspects.add_source(identity, hash, 7);
        }
        for (identity, hash) in [(1, 10), (2, 20), (3, 31), (4, 40), (4, 40)] {
            suspects.add_target(identity, hash, PLACE);
        }
        let mut left: Vec<_> =
            suspects.rows.iter().map(|(id, s)| (*id, s.source, s.target)).collect();
        left.sort_unstable();
        assert_eq!(left, [(2, 1, 0), (3, 1, 1), (4, 0, 2)]);
    }

    #[test]
    fn too_many_suspects_are_thinned_out_alike_on_both_sides() {
        let mut suspects = UnmatchedRows::new(64);
        for row in 0..1_000_u128 {
            suspects.add_source(xxh3_128(&row.to_be_bytes()), row, 0);
        }
        assert!(suspects.rows.len() <= 64 && suspects.rows.len() > 8);
        assert!(suspects.sample_limit < u64::MAX);
        for row in 0..1_000_u128 {
            suspects.add_target(xxh3_128(&row.to_be_bytes()), row, PLACE);
        }
        assert!(suspects.rows.is_empty(), "all of them were the same rows");
    }
}

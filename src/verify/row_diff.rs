//! The row diff: finds the rows that differ by a second scan of the differing buckets.
//!
//! Equal rows of both sides cancel each other out; the key sorts the others into rows of one side
//! only and changed rows. Memory is bounded. Buckets that are key ranges are scanned in groups.
//! Otherwise, if too many rows differ, only an ever smaller sample of them is followed, and the
//! total becomes "at least".

use crate::codec::tuple::{self, Field};
use crate::control::cancel::CancelScope;
use crate::error::Result;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::relation::Relation;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::buckets::Buckets;
use crate::verify::compared_table::ComparedTable;
use crate::verify::rows::{PostgresRows, SqliteRows, Tid};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// The memory of one followed row: identity, hash, counts, rowid and ctid, and its share of the
/// hash table.
const BYTES_PER_FOLLOWED_ROW: u64 = 128;

/// The maximum number of rows followed at a time, from the memory for rows.
pub(crate) fn max_followed(budget: u64) -> usize {
    usize::try_from(budget / BYTES_PER_FOLLOWED_ROW).unwrap_or(usize::MAX).max(1_024)
}

/// The kind of a mismatch, by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MismatchKind {
    SqliteOnly,
    PostgresOnly,
    Changed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowMismatch {
    pub(crate) kind: MismatchKind,
    /// The number of rows; more than one only for rows that are equal to each other.
    pub(crate) rows: u64,
    /// The row of SQLite: its rowid, or its number where there is none.
    pub(crate) sqlite: Option<i64>,
    pub(crate) postgres: Option<Tid>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct RowDiffResult {
    pub(crate) total: u64,
    /// The total is a lower bound.
    pub(crate) at_least: bool,
    /// The first mismatches, in the order of the rows.
    pub(crate) first: Vec<RowMismatch>,
}

pub(crate) struct RowDiff<'a> {
    pub(crate) table: &'a ComparedTable,
    /// The relations that hold its rows in PostgreSQL.
    pub(crate) relations: &'a [Relation],
    pub(crate) buckets: &'a Buckets,
    /// The maximum number of mismatches in the result.
    pub(crate) max_reported: usize,
    /// The maximum number of rows followed at a time.
    pub(crate) max_followed: usize,
    pub(crate) cancel: &'a CancelScope,
}

/// A row without an equal row on the other side, so far.
#[derive(Debug)]
struct Unmatched {
    hash: u128,
    sqlite_rows: u64,
    postgres_rows: u64,
    rowid: i64,
    tid: Option<Tid>,
}

/// The followed rows, by their identity.
struct UnmatchedRows {
    rows: HashMap<u128, Unmatched>,
    max_rows: usize,
    /// Rows are followed if the low half of their identity is at most this.
    sample_limit: u64,
}

impl UnmatchedRows {
    fn new(max_rows: usize) -> Self {
        Self { rows: HashMap::new(), max_rows, sample_limit: u64::MAX }
    }

    fn follows(&self, identity: u128) -> bool {
        identity as u64 <= self.sample_limit
    }

    fn add_sqlite(&mut self, identity: u128, hash: u128, rowid: i64) {
        if self.follows(identity) {
            let new = Unmatched { hash, sqlite_rows: 0, postgres_rows: 0, rowid, tid: None };
            self.rows.entry(identity).or_insert(new).sqlite_rows += 1;
            self.shrink();
        }
    }

    /// Adds a row of PostgreSQL; all rows of SQLite have been added before.
    fn add_postgres(&mut self, identity: u128, hash: u128, tid: Tid) {
        if !self.follows(identity) {
            return;
        }
        match self.rows.entry(identity) {
            Entry::Occupied(mut entry) => {
                let row = entry.get_mut();
                if row.sqlite_rows > 0 && row.hash == hash {
                    row.sqlite_rows -= 1;
                    if row.sqlite_rows + row.postgres_rows == 0 {
                        entry.remove();
                    }
                } else {
                    row.postgres_rows += 1;
                    row.tid.get_or_insert(tid);
                }
            }
            Entry::Vacant(entry) => {
                let (sqlite_rows, postgres_rows) = (0, 1);
                let tid = Some(tid);
                entry.insert(Unmatched { hash, sqlite_rows, postgres_rows, rowid: 0, tid });
                self.shrink();
            }
        }
    }

    /// Halves the sample until it fits.
    fn shrink(&mut self) {
        while self.rows.len() > self.max_rows && self.sample_limit > 0 {
            self.sample_limit /= 2;
            let sample_limit = self.sample_limit;
            self.rows.retain(|identity, _| *identity as u64 <= sample_limit);
        }
    }
}

impl RowDiff<'_> {
    /// Finds the differing rows in the buckets of `bad`, each with the number of its rows on both
    /// sides together.
    pub(crate) fn find(
        &self,
        bad: &[(usize, u64)],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<RowDiffResult> {
        let mut result = RowDiffResult::default();
        let mut rest = bad;
        while !rest.is_empty() {
            let group = self.group(rest);
            rest = &rest[group.len()..];
            let buckets: Vec<usize> = group.iter().map(|(bucket, _)| *bucket).collect();
            let unmatched = self.scan(&buckets, connection, client)?;
            self.add_to(&mut result, unmatched);
        }
        if result.at_least {
            // Rows outside the sample differ, too: a changed row spoils at most two buckets.
            result.total = result.total.max(bad.len().div_ceil(2) as u64);
        }
        Ok(result)
    }

    /// The first buckets, as many as are scanned together.
    fn group<'b>(&self, bad: &'b [(usize, u64)]) -> &'b [(usize, u64)] {
        if let Buckets::Hashes { .. } = self.buckets {
            return bad;
        }
        let mut rows = 0;
        let fits = |(_, more): &&(usize, u64)| {
            rows += more;
            rows <= self.max_followed as u64
        };
        &bad[..bad.iter().take_while(fits).count().max(1)]
    }

    fn scan(
        &self,
        buckets: &[usize],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<UnmatchedRows> {
        let table = self.table;
        let mut unmatched = UnmatchedRows::new(self.max_followed);
        let parts: Vec<(KeyRange, String)> = match self.buckets {
            Buckets::Hashes { .. } => vec![(table.whole(), "true".to_owned())],
            Buckets::Keys { .. } => buckets.iter().filter_map(|&b| self.key_range(b)).collect(),
        };
        let is_bad = |tuple: &[u8], hash| {
            buckets.binary_search(&self.buckets.bucket_of(tuple, hash, 0)).is_ok()
        };
        let mut sqlite = SqliteRows::new(table);
        for (range, _) in &parts {
            sqlite.read(connection, range, |rowid, _, tuple| {
                self.cancel.check()?;
                let hash = xxh3_128(tuple);
                if is_bad(tuple, hash) {
                    unmatched.add_sqlite(self.identity(tuple, hash), hash, rowid);
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let mut postgres = PostgresRows::new(table);
        for (_, condition) in &parts {
            for relation in self.relations.iter().enumerate() {
                postgres.read_with_places(client, relation, condition, |tid, tuple| {
                    self.cancel.check()?;
                    let hash = xxh3_128(tuple);
                    if is_bad(tuple, hash) {
                        unmatched.add_postgres(self.identity(tuple, hash), hash, tid);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(unmatched)
    }

    /// The key range of a bucket in SQLite, and the condition for the same rows in PostgreSQL.
    fn key_range(&self, bucket: usize) -> Option<(KeyRange, String)> {
        let (first, last) = self.buckets.keys(bucket)?;
        let column = &self.table.columns[self.table.integer_key?];
        let key = quote(&column.postgres);
        let null = if bucket == 0 { format!(" OR {key} IS NULL") } else { String::new() };
        // The key is not cast, so that an index on it is used. The quotes allow the smallest value.
        let condition = format!("({key} BETWEEN '{first}'::bigint AND '{last}'::bigint{null})");
        Some((KeyRange::Integer { first, last }, condition))
    }

    /// The identity of a row on both sides: its key, or the whole row if it has none.
    fn identity(&self, tuple: &[u8], hash: u128) -> u128 {
        let key = &self.table.key;
        if key.is_empty() {
            return hash;
        }
        let mut hasher = Xxh3::new();
        for (index, field) in tuple::fields(tuple).enumerate() {
            if key.contains(&index) {
                // A key with a NULL in it is not unique.
                let Field::Bytes(bytes) = field else { return hash };
                hasher.update(&(bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        }
        hasher.digest128()
    }

    /// Adds the unmatched rows of some buckets to the result.
    fn add_to(&self, result: &mut RowDiffResult, unmatched: UnmatchedRows) {
        result.at_least |= unmatched.sample_limit < u64::MAX;
        for row in unmatched.rows.into_values() {
            let changed = row.sqlite_rows.min(row.postgres_rows);
            let rowid = Some(row.rowid);
            let kinds = [
                (MismatchKind::Changed, changed, rowid, row.tid),
                (MismatchKind::SqliteOnly, row.sqlite_rows - changed, rowid, None),
                (MismatchKind::PostgresOnly, row.postgres_rows - changed, None, row.tid),
            ];
            for (kind, rows, sqlite, postgres) in kinds {
                if rows > 0 {
                    result.total += rows;
                    result.first.push(RowMismatch { kind, rows, sqlite, postgres });
                }
            }
        }
        result.first.sort_unstable_by_key(|row| (row.sqlite.is_none(), row.sqlite, row.postgres));
        result.first.truncate(self.max_reported);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TID: Tid = Tid { relation: 0, table: 1, block: 0, offset: 1 };

    #[test]
    fn equal_rows_cancel_and_the_others_remain() {
        let mut unmatched = UnmatchedRows::new(100);
        for (identity, hash) in [(1, 10), (2, 20), (2, 20), (3, 30)] {
            unmatched.add_sqlite(identity, hash, 7);
        }
        for (identity, hash) in [(1, 10), (2, 20), (3, 31), (4, 40), (4, 40)] {
            unmatched.add_postgres(identity, hash, TID);
        }
        let mut left: Vec<_> =
            unmatched.rows.iter().map(|(id, s)| (*id, s.sqlite_rows, s.postgres_rows)).collect();
        left.sort_unstable();
        assert_eq!(left, [(2, 1, 0), (3, 1, 1), (4, 0, 2)]);
    }

    #[test]
    fn too_many_unmatched_rows_are_sampled_alike_on_both_sides() {
        let mut unmatched = UnmatchedRows::new(64);
        for row in 0..1_000_u128 {
            unmatched.add_sqlite(xxh3_128(&row.to_be_bytes()), row, 0);
        }
        assert!(unmatched.rows.len() <= 64 && unmatched.rows.len() > 8);
        assert!(unmatched.sample_limit < u64::MAX);
        for row in 0..1_000_u128 {
            unmatched.add_postgres(xxh3_128(&row.to_be_bytes()), row, TID);
        }
        assert!(unmatched.rows.is_empty(), "all rows are the same");
    }
}

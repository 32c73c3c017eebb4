//! The scan: reads every row of both sides once, both sides at the same time, and sums up digests.

use crate::codec::digest::Digest;
use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::progress::PhaseProgress;
use crate::control::retry::RetryPolicy;
use crate::error::{Error, Result};
use crate::postgres::connect::driver::Driver as _;
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::errors::db_error;
use crate::postgres::relation::Relation;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::read_error;
use crate::verify::buckets::{BucketDigests, Buckets};
use crate::verify::compared_table::ComparedTable;
use crate::verify::rows::{PostgresRows, SqliteRows, SqliteStats};
use crate::verify::settings::{Readers, VerifySettings};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Blocks of PostgreSQL that one query reads: enough to hide its round trips, few enough that all
/// connections share a large table to its end.
const BLOCKS_PER_CHUNK: u64 = 2_048;

/// Rows between two checks for cancellation.
const ROWS_BETWEEN_CHECKS: u64 = 4_096;

/// The copies of a row in memory: from the database, as a tuple, and as a canonical tuple.
const COPIES_OF_A_ROW: u64 = 3;

/// The digests of one table on both sides.
#[derive(Debug, Clone)]
pub(crate) struct TableDigests {
    pub(crate) buckets: Buckets,
    pub(crate) sqlite: BucketDigests,
    pub(crate) postgres: BucketDigests,
    pub(crate) stats: SqliteStats,
}

/// A range of one table of SQLite.
struct SqliteChunk {
    table: usize,
    range: KeyRange,
    /// The size of the largest row; 0 if unknown.
    max_row_bytes: u64,
}

/// A range of blocks of one table of PostgreSQL.
struct PostgresChunk {
    table: usize,
    relation: usize,
    condition: String,
    max_row_bytes: u64,
}

struct Scan<'a> {
    tables: &'a [ComparedTable],
    relations: &'a [Vec<Relation>],
    readers: &'a Readers<'a>,
    progress: &'a PhaseProgress,
    retry_for: Duration,
    cancel: CancelScope,
    /// The budget for rows that are larger than a thread's share.
    budget: Arc<MemoryBudget>,
    /// The bytes that a thread may use without asking the budget.
    share: u64,
    sqlite: Mutex<VecDeque<SqliteChunk>>,
    postgres: Mutex<VecDeque<PostgresChunk>>,
    digests: Vec<Mutex<TableDigests>>,
}

/// Reads everything. Tables without relations are skipped.
pub(crate) fn run(
    tables: &[ComparedTable],
    relations: &[Vec<Relation>],
    readers: &Readers<'_>,
    settings: &VerifySettings<'_>,
) -> Result<Vec<TableDigests>> {
    let (sqlite_threads, postgres_threads) =
        (settings.resources.readers.max(1), settings.resources.writers.max(1));
    let digests = |table: &ComparedTable| {
        let buckets = Buckets::for_table(table);
        let empty = BucketDigests::new(buckets.count());
        Mutex::new(TableDigests {
            buckets,
            sqlite: empty.clone(),
            postgres: empty,
            stats: SqliteStats::new(table.columns.len()),
        })
    };
    let scan = Scan {
        tables,
        relations,
        readers,
        progress: settings.progress,
        retry_for: settings.options.retry_for,
        cancel: settings.cancel.child(),
        budget: MemoryBudget::new(settings.resources.budget),
        share: settings.resources.budget / (sqlite_threads + postgres_threads) as u64,
        sqlite: Mutex::default(),
        postgres: Mutex::default(),
        digests: tables.iter().map(digests).collect(),
    };
    scan.fill_queues();
    std::thread::scope(|scope| {
        for _ in 0..sqlite_threads {
            scope.spawn(|| scan.cancel.run_thread("a reader of SQLite", || scan.read_sqlite()));
        }
        for _ in 0..postgres_threads {
            scope.spawn(|| {
                scan.cancel.run_thread("a reader of PostgreSQL", || scan.read_postgres())
            });
        }
    });
    scan.cancel.end()?;
    Ok(scan
        .digests
        .into_iter()
        .map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}

impl Scan<'_> {
    /// Queues the chunks of both sides, the largest table's first.
    fn fill_queues(&self) {
        let mut order: Vec<usize> =
            (0..self.tables.len()).filter(|&table| !self.relations[table].is_empty()).collect();
        order.sort_by_key(|&table| std::cmp::Reverse(self.tables[table].bytes));
        let (mut sqlite, mut postgres) = (lock(&self.sqlite), lock(&self.postgres));
        for table in order {
            let compared = &self.tables[table];
            sqlite.extend(compared.ranges().into_iter().enumerate().map(|(index, range)| {
                let max_row_bytes = compared.max_row_bytes_in(Some(index));
                SqliteChunk { table, range, max_row_bytes }
            }));
            let max_row_bytes = compared.max_row_bytes_in(None);
            for (relation, found) in self.relations[table].iter().enumerate() {
                let chunk = |condition| PostgresChunk { table, relation, condition, max_row_bytes };
                postgres.extend(block_ranges(found.blocks).into_iter().map(chunk));
            }
        }
    }

    /// Waits for the memory that rows of up to `max_row_bytes` need; `None` if the thread's share is
    /// enough. A row larger than the budget is read while no other large row is.
    fn reserve(&self, max_row_bytes: u64) -> Result<Option<Permit>> {
        let bytes = max_row_bytes.saturating_mul(COPIES_OF_A_ROW);
        if bytes <= self.share {
            return Ok(None);
        }
        self.budget.take(bytes, &self.cancel).map(Some).ok_or_else(Error::interrupted)
    }

    /// Counts a row, and checks for cancellation every [`ROWS_BETWEEN_CHECKS`] rows.
    fn count_row(&self, table: usize, rows: &mut u64) -> Result<()> {
        *rows += 1;
        if *rows == ROWS_BETWEEN_CHECKS {
            self.progress.add(table, std::mem::take(rows), 0);
            self.cancel.check()?;
        }
        Ok(())
    }

    fn read_sqlite(&self) -> Result<()> {
        let connection = (self.readers.sqlite)()?;
        connection.set_prepared_statement_cache_capacity(8);
        let next = || lock(&self.sqlite).pop_front().filter(|_| !self.cancel.is_cancelled());
        let mut chunk = next();
        while let Some(SqliteChunk { table, .. }) = chunk {
            let buckets = lock(&self.digests[table]).buckets.clone();
            let mut digests = BucketDigests::new(buckets.count());
            let mut rows = SqliteRows::new(&self.tables[table]);
            let mut uncounted = 0;
            // A thread sums up all its chunks of a table before it shares the digests.
            let same_table = |chunk: &mut SqliteChunk| chunk.table == table;
            while let Some(SqliteChunk { range, max_row_bytes, .. }) = chunk.take_if(same_table) {
                let _permit = self.reserve(max_row_bytes)?;
                rows.read(&connection, &range, |_, _, tuple| {
                    digests.add(&buckets, tuple);
                    self.count_row(table, &mut uncounted)?;
                    Ok(ControlFlow::Continue(()))
                })?;
                chunk = next();
            }
            self.progress.add(table, uncounted, 0);
            let mut shared = lock(&self.digests[table]);
            shared.sqlite.merge(&digests);
            shared.stats.merge(&rows.stats);
        }
        Ok(())
    }

    fn read_postgres(&self) -> Result<()> {
        let mut session =
            Reconnecting::new(self.readers.in_flight, Box::new(self.readers.postgres));
        let retry_policy =
            RetryPolicy { limit: self.retry_for, cancel: &self.cancel, progress: self.progress };
        let next = || lock(&self.postgres).pop_front().filter(|_| !self.cancel.is_cancelled());
        let mut chunk = next();
        while let Some(PostgresChunk { table, .. }) = chunk {
            let buckets = lock(&self.digests[table]).buckets.clone();
            let mut digests = BucketDigests::new(buckets.count());
            let mut chunk_digests = digests.clone();
            let mut rows = PostgresRows::new(&self.tables[table]);
            let mut uncounted = 0;
            while let Some(part) = chunk.take_if(|chunk| chunk.table == table) {
                let relation = &self.relations[table][part.relation];
                let permit = self.reserve(part.max_row_bytes)?;
                session.run(&retry_policy, |client| {
                    // Rows that a connection sent before it was lost do not count.
                    chunk_digests.clear();
                    rows.read(client, relation, &part.condition, |tuple| {
                        chunk_digests.add(&buckets, tuple);
                        self.count_row(table, &mut uncounted)
                    })
                })?;
                digests.merge(&chunk_digests);
                if permit.is_some() {
                    // The driver retains the buffer of the largest row.
                    session.close_session();
                }
                chunk = next();
            }
            self.progress.add(table, uncounted, 0);
            lock(&self.digests[table]).postgres.merge(&digests);
        }
        Ok(())
    }
}

/// The conditions that split a relation of `blocks` blocks into ranges. The last range has no end:
/// rows may have been written behind the end since the size was read.
pub(crate) fn block_ranges(blocks: u64) -> Vec<String> {
    let ranges = blocks.div_ceil(BLOCKS_PER_CHUNK).max(1);
    if ranges == 1 {
        return vec!["true".to_owned()];
    }
    (0..ranges)
        .map(|range| {
            let first = range * BLOCKS_PER_CHUNK;
            let from = format!("ctid >= '({first},0)'::pg_catalog.tid");
            if range + 1 == ranges {
                from
            } else {
                format!("{from} AND ctid < '({},0)'::pg_catalog.tid", first + BLOCKS_PER_CHUNK)
            }
        })
        .collect()
}

/// Counts the rows of all tables: SQLite's, then PostgreSQL's. Values are not read.
pub(crate) fn count(
    tables: &[ComparedTable],
    relations: &[Vec<Relation>],
    readers: &Readers<'_>,
    cancel: &CancelScope,
) -> Result<Vec<(Digest, Digest)>> {
    let cancel = cancel.child();
    let counts = |_| Mutex::new((Digest::default(), Digest::default()));
    let counts: Vec<_> = tables.iter().map(counts).collect();
    let count_sqlite = || -> Result<()> {
        let connection = (readers.sqlite)()?;
        for (table, count) in tables.iter().zip(&counts) {
            let sql = format!("SELECT count(*) FROM {}", quote(&table.query.table));
            let rows: i64 = connection
                .query_row(&sql, [], |row| row.get(0))
                .map_err(|error| read_error(&table.name, error))?;
            lock(count).0.rows = (rows as u64).saturating_sub(table.rows_left_out);
        }
        Ok(())
    };
    let count_postgres = || -> Result<()> {
        let (mut client, _) = (readers.postgres)(None)?;
        for ((table, relations), count) in tables.iter().zip(relations).zip(&counts) {
            for relation in relations {
                let sql = format!("SELECT count(*) FROM {}", relation.from);
                let what = format!("cannot count the rows of table {}", quote(&table.name));
                let row = client.first_row(&sql).map_err(db_error(&what))?;
                let rows = row.and_then(|row| row.get(0)?.parse::<u64>().ok());
                lock(count).1.rows += rows.ok_or_else(|| Error::failed(&what))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| cancel.run_thread("a reader of SQLite", count_sqlite));
        scope.spawn(|| cancel.run_thread("a reader of PostgreSQL", count_postgres));
    });
    cancel.end()?;
    Ok(counts.into_iter().map(|c| c.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_ranges_have_no_gap_and_no_end() {
        assert_eq!(block_ranges(0), ["true"]);
        assert_eq!(block_ranges(2_048).len(), 1);
        assert_eq!(
            block_ranges(2_049),
            [
                "ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(2048,0)'::pg_catalog.tid",
                "ctid >= '(2048,0)'::pg_catalog.tid"
            ]
        );
    }
}

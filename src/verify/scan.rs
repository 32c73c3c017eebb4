//! The pass: every row of both sides read once, both sides at the same time, and added up.

use crate::codec::digest::Digest;
use crate::control::cancel::CancelScope;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::progress::PhaseProgress;
use crate::control::retry::{Reconnecting, RetryPolicy};
use crate::error::{Error, Result};
use crate::postgres::copy_out::Relation;
use crate::postgres::errors::db_error;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::{Next, read_error};
use crate::verify::buckets::{BucketDigests, Buckets};
use crate::verify::rows::{SourceRows, SourceStats, TargetRows};
use crate::verify::table_pair::ComparedTable;
use crate::verify::{Ends, Settings, Threads};
use postgres::SimpleQueryMessage;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Blocks of the target that are read in one query: enough that its round trips do not show, few
/// enough that no connection is left alone with a large table's end.
const BLOCKS_OF_A_PIECE: u64 = 2_048;

/// Rows between two looks at whether to stop.
const ROWS_BETWEEN_CHECKS: u64 = 4_096;

/// A row is in memory in so many forms at a time: as the database gives it, as a tuple, as a canonical
/// one.
const FORMS: u64 = 3;

/// What both sides gave of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableDigests {
    /// How its rows were told apart.
    pub(crate) buckets: Buckets,
    /// The source's digests.
    pub(crate) source: BucketDigests,
    /// The target's.
    pub(crate) target: BucketDigests,
    /// What was seen in the source.
    pub(crate) seen: SourceStats,
}

/// A part of one table of the source.
struct SourcePiece {
    table: usize,
    range: KeyRange,
    /// The most bytes of a row, as far as they are known.
    widest: u64,
}

/// A part of one table of the target.
struct TargetPiece {
    table: usize,
    relation: usize,
    condition: String,
    widest: u64,
}

struct Scan<'a> {
    subjects: &'a [ComparedTable],
    relations: &'a [Vec<Relation>],
    ends: &'a Ends<'a>,
    progress: &'a PhaseProgress,
    retry_for: Duration,
    halt: CancelScope<'a>,
    /// For rows that are too large for a thread to have one whenever it wants.
    budget: Arc<MemoryBudget>,
    /// Bytes that a thread may have whenever it wants.
    share: u64,
    source: Mutex<VecDeque<SourcePiece>>,
    target: Mutex<VecDeque<TargetPiece>>,
    sides: Vec<Mutex<TableDigests>>,
}

/// Reads everything. Tables of which the target shows no relation are passed over.
pub(crate) fn run(
    subjects: &[ComparedTable],
    relations: &[Vec<Relation>],
    ends: &Ends<'_>,
    threads: &Threads,
    settings: &Settings<'_>,
) -> Result<Vec<TableDigests>> {
    let sides = |subject: &ComparedTable| {
        let buckets = Buckets::of(subject);
        let (source, target) =
            (BucketDigests::new(buckets.count()), BucketDigests::new(buckets.count()));
        Mutex::new(TableDigests {
            buckets,
            source,
            target,
            seen: SourceStats::new(subject.columns.len()),
        })
    };
    let pass = Scan {
        subjects,
        relations,
        ends,
        progress: settings.progress,
        retry_for: settings.options.retry_for,
        halt: CancelScope::new(settings.stop),
        budget: MemoryBudget::new(settings.resources.budget),
        share: settings.resources.budget / (threads.source + threads.target).max(1) as u64,
        source: Mutex::default(),
        target: Mutex::default(),
        sides: subjects.iter().map(sides).collect(),
    };
    pass.cut();
    std::thread::scope(|scope| {
        for _ in 0..threads.source.max(1) {
            scope.spawn(|| pass.halt.run_thread("a reader of the source", || pass.read_source()));
        }
        for _ in 0..threads.target.max(1) {
            scope.spawn(|| pass.halt.run_thread("a reader of the target", || pass.read_target()));
        }
    });
    pass.halt.end()?;
    Ok(pass
        .sides
        .into_iter()
        .map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scan<'_> {
    /// Cuts both sides into pieces, the largest table's first.
    fn cut(&self) {
        let mut order: Vec<usize> =
            (0..self.subjects.len()).filter(|&table| !self.relations[table].is_empty()).collect();
        order.sort_by_key(|&table| std::cmp::Reverse(self.subjects[table].bytes));
        let (mut source, mut target) = (lock(&self.source), lock(&self.target));
        for table in order {
            let ranges = self.subjects[table].ranges();
            source.extend(ranges.into_iter().enumerate().map(|(place, range)| {
                let widest = self.subjects[table].widest_in(Some(place));
                SourcePiece { table, range, widest }
            }));
            for (relation, found) in self.relations[table].iter().enumerate() {
                target.extend(block_ranges(found.blocks).into_iter().map(|condition| {
                    TargetPiece {
                        table,
                        relation,
                        condition,
                        widest: self.subjects[table].widest_in(None),
                    }
                }));
            }
        }
    }

    /// Waits for the memory that a piece with rows of up to `widest` bytes needs; one that is larger
    /// than the budget is read while no other of its kind is. `None` where there is always enough.
    fn room(&self, widest: u64) -> Result<Option<Permit>> {
        let bytes = widest.saturating_mul(FORMS);
        if bytes <= self.share {
            return Ok(None);
        }
        self.budget.take(bytes, &self.halt).map(Some).ok_or_else(Error::interrupted)
    }

    /// Every now and then: count, stop.
    fn look(&self, table: usize, rows: &mut u64) -> Result<()> {
        *rows += 1;
        if *rows == ROWS_BETWEEN_CHECKS {
            self.progress.add(table, std::mem::take(rows), 0);
            if self.halt.is_cancelled() {
                return Err(Error::interrupted());
            }
        }
        Ok(())
    }

    fn read_source(&self) -> Result<()> {
        let connection = (self.ends.source)()?;
        connection.set_prepared_statement_cache_capacity(8);
        let next = || lock(&self.source).pop_front().filter(|_| !self.halt.is_cancelled());
        let mut piece = next();
        while let Some(SourcePiece { table, .. }) = piece {
            let buckets = lock(&self.sides[table]).buckets.clone();
            let mut sums = BucketDigests::new(buckets.count());
            let mut rows = SourceRows::new(&self.subjects[table]);
            let mut since = 0;
            // A thread adds up all its pieces of a table before it shares the sums.
            let of_table = |piece: &mut SourcePiece| piece.table == table;
            while let Some(SourcePiece { range, widest, .. }) = piece.take_if(of_table) {
                let _permit = self.room(widest)?;
                rows.read(&connection, &range, |_, _, tuple| {
                    sums.add(&buckets, tuple);
                    self.look(table, &mut since)?;
                    Ok(Next::Row)
                })?;
                piece = next();
            }
            self.progress.add(table, since, 0);
            let mut sides = lock(&self.sides[table]);
            sides.source.merge(&sums);
            sides.seen.merge(&rows.seen);
        }
        Ok(())
    }

    fn read_target(&self) -> Result<()> {
        let mut line = Reconnecting::new(Box::new(self.ends.target));
        let retry_policy = RetryPolicy {
            limit: self.retry_for,
            is_halted: &|| self.halt.is_cancelled(),
            progress: self.progress,
        };
        let next = || lock(&self.target).pop_front().filter(|_| !self.halt.is_cancelled());
        let mut piece = next();
        while let Some(TargetPiece { table, .. }) = piece {
            let buckets = lock(&self.sides[table]).buckets.clone();
            let mut sums = BucketDigests::new(buckets.count());
            let mut piece_sums = sums.clone();
            let mut rows = TargetRows::new(&self.subjects[table]);
            let mut since = 0;
            while let Some(part) = piece.take_if(|piece| piece.table == table) {
                let relation = &self.relations[table][part.relation];
                let permit = self.room(part.widest)?;
                line.run(&retry_policy, |client| {
                    // What a connection has given before it was lost does not count.
                    piece_sums.clear();
                    rows.read(client, relation, &part.condition, |tuple| {
                        piece_sums.add(&buckets, tuple);
                        self.look(table, &mut since)
                    })
                })?;
                sums.merge(&piece_sums);
                if permit.is_some() {
                    // The driver keeps the room that the largest row took.
                    line.end_session();
                }
                piece = next();
            }
            self.progress.add(table, since, 0);
            lock(&self.sides[table]).target.merge(&sums);
        }
        Ok(())
    }
}

/// Conditions that cut a relation of so many blocks into ranges. The last one is open, as rows
/// may have been written behind the end while it was looked at.
pub(crate) fn block_ranges(blocks: u64) -> Vec<String> {
    let pieces = blocks.div_ceil(BLOCKS_OF_A_PIECE).max(1);
    (0..pieces)
        .map(|piece| {
            let first = piece * BLOCKS_OF_A_PIECE;
            let from = format!("ctid >= '({first},0)'::pg_catalog.tid");
            if piece + 1 == pieces {
                from
            } else {
                format!("{from} AND ctid < '({},0)'::pg_catalog.tid", first + BLOCKS_OF_A_PIECE)
            }
        })
        .collect()
}

/// Counts the rows of all tables on both sides, and nothing more.
pub(crate) fn count(
    subjects: &[ComparedTable],
    relations: &[Vec<Relation>],
    ends: &Ends<'_>,
    stop: &AtomicBool,
) -> Result<Vec<(Digest, Digest)>> {
    let halt = CancelScope::new(stop);
    let counts = |_| Mutex::new((Digest::default(), Digest::default()));
    let counts: Vec<_> = subjects.iter().map(counts).collect();
    let of_source = || -> Result<()> {
        let connection = (ends.source)()?;
        for (subject, count) in subjects.iter().zip(&counts) {
            let sql = format!("SELECT count(*) FROM {}", quote(&subject.query.table));
            let rows: i64 = connection
                .query_row(&sql, [], |row| row.get(0))
                .map_err(|error| read_error(&subject.name, error))?;
            lock(count).0.rows = (rows as u64).saturating_sub(subject.rows_left_out);
        }
        Ok(())
    };
    let of_target = || -> Result<()> {
        let (mut client, _) = (ends.target)(None)?;
        for ((subject, relations), count) in subjects.iter().zip(relations).zip(&counts) {
            for relation in relations {
                let sql = format!("SELECT count(*) FROM ONLY {}", relation.name);
                let what = format!("cannot count the rows of table {}", quote(&subject.name));
                let answer = client.simple_query(&sql).map_err(db_error(&what))?;
                let rows = answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0)?.parse::<u64>().ok(),
                    _ => None,
                });
                lock(count).1.rows += rows.ok_or_else(|| Error::failed(&what))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| halt.run_thread("a reader of the source", of_source));
        scope.spawn(|| halt.run_thread("a reader of the target", of_target));
    });
    halt.end()?;
    Ok(counts.into_iter().map(|c| c.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_ranges_leave_no_gap_and_no_end() {
        assert_eq!(block_ranges(0), ["ctid >= '(0,0)'::pg_catalog.tid"]);
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

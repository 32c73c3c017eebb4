//! Verification: both sides are read again, and every row of the one is found in the other.
//!
//! A row is its canonical tuple; a table is the sum of its rows' hashes, in buckets. Where buckets
//! differ, a second look finds the rows. Nothing is taken from the memory of a copy, and nothing is
//! written.

pub(crate) mod buckets;
pub(crate) mod column_diff;
pub(crate) mod match_tables;
pub(crate) mod row_diff;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod schema_check;
pub(crate) mod table_pair;
pub(crate) mod to_sqlite;
pub(crate) mod verdict;

use crate::codec::digest::Digest;
use crate::control::progress::{PhaseProgress, TableProgress};
use crate::control::retry::RetryPolicy;
use crate::control::sizing::Resources;
use crate::error::{Error, Result};
use crate::options::run_options::{Depth, RunOptions};
use crate::postgres::connect::backend::Backend;
use crate::postgres::copy_out::{Relation, Snapshot, TupleReader};
use crate::postgres::errors::db_error;
use crate::postgres::lease::run_lock::RunLock;
use crate::report::TableVerification;
use crate::schema::names::{literal, quote};
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::column_diff::Explain;
use crate::verify::row_diff::{RowDiff, RowDiffResult};
use crate::verify::rows::SourceStats;
use crate::verify::scan::TableDigests;
use crate::verify::table_pair::ComparedTable;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The two ends: one more reader of each side, on the state that all readers of the side see.
pub(crate) struct Ends<'a> {
    /// The source.
    pub(crate) source: &'a (dyn Fn() -> Result<SourceConnection> + Sync),
    /// The target; a session that was lost is ended first.
    pub(crate) target: &'a (dyn Fn(Option<Backend>) -> Result<(TupleReader, Backend)> + Sync),
}

impl Ends<'_> {
    /// Sessions of `claim` for [`Ends::target`].
    pub(crate) fn session(
        claim: &RunLock,
        lost: Option<Backend>,
    ) -> Result<(TupleReader, Backend)> {
        let session = claim.session("verify", lost)?;
        Ok((session.client, session.backend))
    }
}

/// How often a comparison is begun anew because its snapshot was lost.
const MAX_ROUNDS: usize = 5;

/// Does `work` under a snapshot of `tables`; all of it again under another one where the session
/// that holds it is lost.
pub(crate) fn under_snapshot<T>(
    claim: &RunLock,
    tables: &[String],
    retry_policy: &RetryPolicy<'_>,
    mut work: impl FnMut(&mut Snapshot) -> Result<T>,
) -> Result<T> {
    let counters = [&retry_policy.progress.total, &retry_policy.progress.done];
    let before = counters.map(|counter| counter.load(Ordering::Relaxed));
    let mut rounds = 0;
    retry_policy.retry(|outage| {
        let session = claim.session("snapshot", None)?;
        let mut snapshot = Snapshot::take(session.client, tables)?;
        outage.is_over();
        rounds += 1;
        for (counter, before) in counters.iter().zip(before) {
            counter.store(before, Ordering::Relaxed);
        }
        let done = work(&mut snapshot);
        if rounds < MAX_ROUNDS && done.is_err() && snapshot.is_retryable() {
            return done.map(Ok).map_err(Error::retryable);
        }
        Ok(done)
    })?
}

/// How many threads read each side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads {
    /// Of the source.
    pub(crate) source: usize,
    /// Connections to the target.
    pub(crate) target: usize,
}

/// How a verification is done.
pub(crate) struct Settings<'a> {
    /// How deep it looks.
    pub(crate) depth: Depth,
    /// What was asked for.
    pub(crate) options: &'a RunOptions,
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    /// Where rows done are counted.
    pub(crate) progress: &'a PhaseProgress,
    /// Set from outside to end early.
    pub(crate) stop: &'a AtomicBool,
    /// The target's ledger and the data set in it, where there is one: who wrote after it was
    /// written last was not us.
    pub(crate) ledger: Option<(String, String)>,
}

/// What was found of one table.
pub(crate) struct Compared {
    /// As it is reported.
    pub(crate) report: TableVerification,
    /// What was seen in the source.
    pub(crate) seen: SourceStats,
    /// Row-level security hides rows of it, so that it could not be compared.
    pub(crate) hidden: bool,
    /// Rows that differ were written after the copy.
    pub(crate) modified_after_copy: bool,
}

/// Compares all tables, under one snapshot of the target.
///
/// # Errors
/// Either side cannot be read. That they differ is no error.
pub(crate) fn compare(
    subjects: &[ComparedTable],
    snapshot: &mut Snapshot,
    ends: &Ends<'_>,
    settings: &Settings<'_>,
) -> Result<Vec<Compared>> {
    let mut relations = Vec::with_capacity(subjects.len());
    let mut hidden = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let found = snapshot.relations(&subject.target)?;
        hidden.push(found.iter().any(|relation| relation.hidden));
        relations.push(if hidden.last() == Some(&true) { Vec::new() } else { found });
    }
    let join = snapshot.import_sql();
    let target = |lost| -> Result<(TupleReader, Backend)> {
        let (mut client, backend) = (ends.target)(lost)?;
        client
            .simple_query(&join)
            .map_err(db_error("cannot share one view of PostgreSQL's tables"))?;
        Ok((client, backend))
    };
    let ends = Ends { source: ends.source, target: &target };
    if settings.depth == Depth::Rows {
        let counts = scan::count(subjects, &relations, &ends, settings.stop)?;
        let compared =
            subjects.iter().zip(counts).zip(hidden).map(|((subject, counts), hidden)| Compared {
                report: summary(counts, None, hidden),
                seen: SourceStats::new(subject.columns.len()),
                hidden,
                modified_after_copy: false,
            });
        return Ok(compared.collect());
    }
    watch(subjects, settings.progress);
    let threads =
        Threads { source: settings.resources.readers, target: settings.resources.writers };
    let sides = scan::run(subjects, &relations, &ends, &threads, settings)?;
    let found = second_look(subjects, &relations, &sides, &ends, settings)?;
    let mut compared = Vec::with_capacity(subjects.len());
    let all = sides.into_iter().zip(found).zip(hidden).zip(&relations);
    for (((sides, found), hidden), relations) in all {
        let totals = (sides.source.total(), sides.target.total());
        let modified_after_copy = match (&found, &settings.ledger) {
            (Some((found, _)), Some(ledger)) => wrote_later(snapshot, relations, found, ledger)?,
            _ => false,
        };
        let report = summary(totals, found, hidden);
        compared.push(Compared { report, seen: sides.seen, hidden, modified_after_copy });
    }
    Ok(compared)
}

/// Names the tables and the rows of both sides for whoever watches.
fn watch(subjects: &[ComparedTable], progress: &PhaseProgress) {
    let rows = |subject: &ComparedTable| subject.chunks.iter().map(|chunk| chunk.rows).sum::<u64>();
    progress.total.fetch_add(2 * subjects.iter().map(rows).sum::<u64>(), Ordering::Relaxed);
    let table = |subject: &ComparedTable| TableProgress {
        name: subject.name.clone(),
        total: 2 * rows(subject),
        done: AtomicU64::new(0),
    };
    progress.set_tables(subjects.iter().map(table).collect());
}

type Told = Option<(RowDiffResult, Vec<crate::report::RowDifference>)>;

/// Finds the rows that differ, table by table.
fn second_look(
    subjects: &[ComparedTable],
    relations: &[Vec<Relation>],
    sides: &[TableDigests],
    ends: &Ends<'_>,
    settings: &Settings<'_>,
) -> Result<Vec<Told>> {
    let mut readers: Option<(SourceConnection, TupleReader)> = None;
    let mut all = Vec::with_capacity(subjects.len());
    for ((subject, relations), sides) in subjects.iter().zip(relations).zip(sides) {
        let bad = sides.source.differing(&sides.target);
        if bad.is_empty() {
            all.push(None);
            continue;
        }
        settings.progress.set_step(format!("differences of {}", quote(&subject.name)));
        let (connection, client) = match &mut readers {
            Some(readers) => readers,
            none => none.insert(((ends.source)()?, (ends.target)(None)?.0)),
        };
        let look = RowDiff {
            subject,
            relations,
            buckets: &sides.buckets,
            wanted: settings.options.max_differences as usize,
            limit: row_diff::limit(settings.resources.budget),
            stop: settings.stop,
        };
        let found = look.take(&bad, connection, client)?;
        let explain = Explain { subject, relations, show_values: settings.options.show_values };
        let told = explain.all(&found.first, connection, client)?;
        all.push(Some((found, told)));
    }
    Ok(all)
}

fn summary((source, target): (Digest, Digest), told: Told, hidden: bool) -> TableVerification {
    let hex = |digest: Digest| (digest.sum != 0).then(|| format!("{:032x}", digest.sum));
    let equal = !hidden && source == target && told.is_none();
    let (found, differences) = told.unwrap_or_default();
    TableVerification {
        equal,
        source_rows: source.rows,
        target_rows: target.rows,
        source_digest: hex(source),
        target_digest: hex(target),
        differing_rows: found.total.max(if hidden { 0 } else { source.rows.abs_diff(target.rows) }),
        at_least: found.at_least,
        differences,
    }
}

/// Whether one of the differing rows in the target was written after the ledger's entry.
fn wrote_later(
    snapshot: &mut Snapshot,
    relations: &[Relation],
    found: &RowDiffResult,
    (ledger, data_set): &(String, String),
) -> Result<bool> {
    for (number, relation) in relations.iter().enumerate() {
        let places: Vec<String> = found
            .first
            .iter()
            .filter_map(|suspicion| suspicion.target)
            .filter(|tid| tid.relation as usize == number)
            .map(|tid| format!("'({},{})'::pg_catalog.tid", tid.block, tid.offset))
            .collect();
        if places.is_empty() {
            continue;
        }
        let sql = format!(
            "SELECT coalesce(pg_catalog.bool_or(pg_catalog.age(t.xmin) < pg_catalog.age(l.xmin)), \
             false) FROM ONLY {} t, {ledger} l WHERE t.ctid = ANY (ARRAY[{}]) \
             AND l.data_set = {} AND l.table_name = '' AND l.chunk = -1",
            relation.name,
            places.join(", "),
            literal(data_set)
        );
        let row = snapshot.client().query_one(&sql, &[]);
        let what = "cannot tell when the target was written";
        if row.map_err(db_error(what))?.get(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

//! The comparison of all tables of a data set.

use crate::codec::digest::Digest;
use crate::control::progress::{PhaseProgress, TableProgress};
use crate::control::retry::RetryPolicy;
use crate::error::{Error, Result};
use crate::options::run_options::Depth;
use crate::postgres::copy_out::{Snapshot, TupleReader};
use crate::postgres::errors::db_error;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::relation::{self, Relation, StoredTable, check_counts, miscounted};
use crate::report::{RowDifference, TableVerification};
use crate::schema::names::{literal, quote};
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::column_diff::ColumnDiff;
use crate::verify::compared_table::ComparedTable;
use crate::verify::roles::SourceSide;
use crate::verify::row_diff::{self, RowDiff, RowDiffResult};
use crate::verify::rows::{SqliteStats, Tid};
use crate::verify::scan::{self, TableDigests};
use crate::verify::settings::{Readers, VerifySettings};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a comparison starts from scratch because its snapshot was lost.
const MAX_ROUNDS: usize = 5;

pub(crate) struct Compared {
    pub(crate) report: TableVerification,
    pub(crate) stats: SqliteStats,
    /// Row-level security hides rows of the table, so it was not compared.
    pub(crate) hidden: bool,
    /// At least one differing row was written after the copy.
    pub(crate) modified_after_copy: bool,
}

/// Runs `work` under a snapshot of `tables`, and again under a new one if its session is lost.
pub(crate) fn under_snapshot<T>(
    lock: &RunLock,
    tables: &[String],
    retry_policy: &RetryPolicy<'_>,
    mut work: impl FnMut(&mut Snapshot) -> Result<T>,
) -> Result<T> {
    let before = retry_policy.progress.position();
    let mut rounds = 0;
    retry_policy.retry(|outage| {
        let session = lock.session("snapshot", None)?;
        let mut snapshot = Snapshot::take(session.client, tables)?;
        outage.reset();
        rounds += 1;
        retry_policy.progress.rewind(before);
        let done = work(&mut snapshot);
        if rounds < MAX_ROUNDS && done.is_err() && snapshot.is_lost() {
            return done.map(Ok).map_err(Error::retryable);
        }
        Ok(done)
    })?
}

/// Compares all tables under one snapshot of PostgreSQL. `others` are the qualified names of the
/// tables that are not compared, but whose rows are not those of their parents either. A difference
/// is not an error.
pub(crate) fn compare(
    tables: &[ComparedTable],
    others: &[String],
    snapshot: &mut Snapshot,
    readers: &Readers<'_>,
    settings: &VerifySettings<'_>,
) -> Result<Vec<Compared>> {
    let names = tables.iter().map(|table| &table.postgres).chain(others);
    let names: Vec<String> = names.cloned().collect();
    let mut stored = relation::read(snapshot.client(), &names)?;
    stored.truncate(tables.len());
    let hides = |relations: &[Relation]| relations.iter().any(|relation| relation.hidden);
    let hidden: Vec<bool> = stored.iter().map(|table| hides(&table.relations)).collect();
    let relations = |(table, hidden): (&StoredTable, &bool)| match hidden {
        true => Vec::new(),
        false => table.relations.clone(),
    };
    let relations: Vec<Vec<Relation>> = stored.iter().zip(&hidden).map(relations).collect();
    let check_read = |snapshot: &mut Snapshot, read: Vec<u64>| -> Result<()> {
        let read = read.into_iter().zip(&hidden).map(|(read, hidden)| (!hidden).then_some(read));
        let read: Vec<Option<u64>> = read.collect();
        for ((table, name), read) in tables.iter().zip(&names).zip(&read) {
            if let (Some(read), Some(counted)) = (*read, table.counted)
                && read != counted
            {
                return Err(miscounted(Error::failed, name, read, counted));
            }
        }
        check_counts(snapshot.client(), (&names, &stored), &read, Error::failed)
    };
    let import = snapshot.import_sql();
    let postgres = |lost| {
        let (mut client, backend) = (readers.postgres)(lost)?;
        client
            .simple_query(&import)
            .map_err(db_error("cannot share one snapshot of PostgreSQL between sessions"))?;
        Ok((client, backend))
    };
    let readers = Readers { postgres: &postgres, ..*readers };
    let side = settings.source;
    if settings.depth == Depth::Rows {
        let counts = scan::count(tables, &relations, &readers, settings.cancel)?;
        let read: Vec<u64> = counts.iter().map(|(_, postgres)| postgres.rows).collect();
        check_read(snapshot, read)?;
        let compared =
            tables.iter().zip(counts).zip(hidden).map(|((table, counts), hidden)| Compared {
                report: verification(side, counts, None, hidden),
                stats: SqliteStats::new(table.columns.len()),
                hidden,
                modified_after_copy: false,
            });
        return Ok(compared.collect());
    }
    start_progress(tables, settings.progress);
    let digests = scan::run(tables, &relations, &readers, settings)?;
    let read: Vec<u64> = digests.iter().map(|one| one.postgres.total().rows).collect();
    check_read(snapshot, read)?;
    let differences = row_differences(tables, &relations, &digests, &readers, settings)?;
    let mut compared = Vec::with_capacity(tables.len());
    let all = digests.into_iter().zip(differences).zip(hidden).zip(&relations);
    for (((digests, differences), hidden), relations) in all {
        let totals = (digests.sqlite.total(), digests.postgres.total());
        let modified_after_copy = match (&differences, &settings.ledger) {
            (Some((result, _)), Some(ledger)) => {
                modified_after_copy(snapshot, relations, result, ledger)?
            }
            _ => false,
        };
        let report = verification(side, totals, differences, hidden);
        compared.push(Compared { report, stats: digests.stats, hidden, modified_after_copy });
    }
    Ok(compared)
}

/// Adds the tables and the rows of both sides to the progress counters.
fn start_progress(tables: &[ComparedTable], progress: &PhaseProgress) {
    let rows = |table: &ComparedTable| table.chunks.iter().map(|chunk| chunk.rows).sum::<u64>();
    progress.total.fetch_add(2 * tables.iter().map(rows).sum::<u64>(), Ordering::Relaxed);
    let table = |table: &ComparedTable| TableProgress {
        name: table.name.clone(),
        total: 2 * rows(table),
        done: AtomicU64::new(0),
    };
    progress.set_tables(tables.iter().map(table).collect());
}

/// The differing rows of one table, counted and reported; `None` if all are equal.
type Differences = Option<(RowDiffResult, Vec<RowDifference>)>;

fn row_differences(
    tables: &[ComparedTable],
    relations: &[Vec<Relation>],
    digests: &[TableDigests],
    readers: &Readers<'_>,
    settings: &VerifySettings<'_>,
) -> Result<Vec<Differences>> {
    let mut open: Option<(SourceConnection, TupleReader)> = None;
    let mut all = Vec::with_capacity(tables.len());
    for ((table, relations), digests) in tables.iter().zip(relations).zip(digests) {
        let bad = digests.sqlite.differing(&digests.postgres);
        if bad.is_empty() {
            all.push(None);
            continue;
        }
        settings.progress.set_step(format!("differences of {}", quote(&table.name)));
        let (connection, client) = match &mut open {
            Some(open) => open,
            none => none.insert(((readers.sqlite)()?, (readers.postgres)(None)?.0)),
        };
        let row_diff = RowDiff {
            table,
            relations,
            buckets: &digests.buckets,
            max_reported: settings.options.max_differences as usize,
            max_followed: row_diff::max_followed(settings.resources.budget),
            cancel: settings.cancel,
        };
        let result = row_diff.find(&bad, connection, client)?;
        let column_diff = ColumnDiff {
            table,
            relations,
            source: settings.source,
            show_values: settings.options.show_values,
        };
        let reported = column_diff.report(&result.first, connection, client)?;
        all.push(Some((result, reported)));
    }
    Ok(all)
}

/// Fills the report of one table from the digests of SQLite and PostgreSQL.
fn verification(
    side: SourceSide,
    (sqlite, postgres): (Digest, Digest),
    differences: Differences,
    hidden: bool,
) -> TableVerification {
    let hex = |digest: Digest| (digest.sum != 0).then(|| format!("{:032x}", digest.sum));
    let equal = !hidden && sqlite == postgres && differences.is_none();
    let (result, differences) = differences.unwrap_or_default();
    let (source, target) = side.order(sqlite, postgres);
    TableVerification {
        equal,
        source_rows: source.rows,
        target_rows: target.rows,
        source_digest: hex(source),
        target_digest: hex(target),
        differing_rows: result.total.max(if hidden {
            0
        } else {
            source.rows.abs_diff(target.rows)
        }),
        at_least: result.at_least,
        differences,
    }
}

/// Whether one of the differing rows in PostgreSQL was written after the ledger's last entry.
fn modified_after_copy(
    snapshot: &mut Snapshot,
    relations: &[Relation],
    result: &RowDiffResult,
    (ledger, data_set): &(String, String),
) -> Result<bool> {
    for (number, relation) in relations.iter().enumerate() {
        let tids: Vec<String> = result
            .first
            .iter()
            .filter_map(|mismatch| mismatch.postgres)
            .filter(|tid| tid.relation as usize == number)
            .map(Tid::condition)
            .collect();
        if tids.is_empty() {
            continue;
        }
        let sql = format!(
            "SELECT coalesce(pg_catalog.bool_or(pg_catalog.age(t.xmin) < pg_catalog.age(l.xmin)), \
             false) FROM (SELECT xmin FROM {} WHERE {}) AS t, {ledger} l \
             WHERE l.data_set = {} AND l.table_name = '' AND l.chunk = -1",
            relation.from,
            tids.join(" OR "),
            literal(data_set)
        );
        let row = snapshot.client().query_one(&sql, &[]);
        let what = "cannot compare the age of the differing rows with the ledger's";
        if row.map_err(db_error(what))?.get(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

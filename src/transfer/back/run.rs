//! A run of the way back, from opening both databases to the report.

use super::plan::{self, Inputs, Plan, PlannedTable};
use super::{compare, copy, finish};
use crate::config::connection::{Connection, Defaults};
use crate::config::environment::Environment;
use crate::error::{Error, Result};
use crate::postgres::catalog;
use crate::postgres::connect::{Session, connect};
use crate::postgres::errors::failed;
use crate::postgres::ledger::Ledger;
use crate::postgres::read::{Snapshot, TupleReader};
use crate::postgres::target::advisory_key;
use crate::progress::{Phase, Progress, TableProgress};
use crate::schema::names::{qualify, quote};
use crate::sqlite::partial::{Partial, Place};
use crate::sqlite::write::FileWriter;
use crate::sqlite::{Source, SourceOptions};
use crate::transfer::Planned;
use crate::transfer::options::{DataSet, Depth, Location, OnMisfit, Options, Verify};
use crate::transfer::report::{
    DataSetReport, Outcome, PhaseTime, PlanSummary, Report, TableReport, Verdict,
};
use crate::transfer::sizes::Sizes;
use crate::transfer::stop::on_signals;
use crate::transfer::verify::Settings;
use postgres::Client;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Of the memory for rows in flight, the part that SQLite's page cache takes instead: rows wait
/// for the writer, so that more of them in flight would gain nothing.
const CACHE_SHARE: u64 = 2;

/// One data set, opened, held still and planned.
struct Set {
    connection: Connection,
    snapshot: Snapshot,
    plan: Plan,
    place: Place,
}

/// A planned run of the way back.
pub struct Run {
    options: Options,
    sets: Vec<Set>,
    sizes: Sizes,
    stop: Arc<AtomicBool>,
    started: Instant,
}

/// Connects to the sources, holds them still, looks at the targets, and plans.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub fn prepare(options: &Options, progress: &Arc<Progress>) -> Result<Run> {
    let started = Instant::now();
    let stop = on_signals()?;
    let sizes = Sizes::choose(options);
    if let OnMisfit::Reject { .. } = options.on_misfit {
        return Err(Error::usage("--on-misfit reject is for the way into PostgreSQL")
            .hint("--on-misfit widen keeps such values as text"));
    }
    progress.enter(Phase::Open);
    let sets = options.data_sets.iter();
    let sets = sets.map(|set| prepare_one(set, options, &sizes, progress, &stop));
    let sets = sets.collect::<Result<Vec<Set>>>()?;
    Ok(Run { options: options.clone(), sets, sizes, stop, started })
}

fn prepare_one(
    data_set: &DataSet,
    options: &Options,
    sizes: &Sizes,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Set> {
    let (Location::Postgres(source), Location::Sqlite(file)) = (&data_set.source, &data_set.target)
    else {
        return Err(Error::refused("all data sets of a run go the same way"));
    };
    let connection =
        Connection::parse(source, &Environment::of_this_process(), Defaults::default())?;
    let place = Place::look(file)?;
    let only_compare = matches!(options.verify, Verify::Only(_));
    if !only_compare {
        refuse_occupied(&place, options)?;
    }
    let Session { client: mut keeper, schema, .. } = connect(&connection, "keeper")?;
    let schema = choose_schema(&mut keeper, options.schema.clone(), schema)?;
    share_lock(&mut keeper, &schema)?;
    let types = types_of_earlier_run(&mut keeper, &schema)?;
    // Asked once for the names to lock, and again under the locks.
    let first = catalog::read(&mut keeper, &schema)?;
    let names: Vec<String> =
        first.schema.tables.iter().map(|table| qualify(&schema, &table.name)).collect();
    let mut snapshot = Snapshot::take(keeper, &names)?;
    let catalog = catalog::read(snapshot.client(), &schema)?;
    let join = snapshot.join();
    let inputs = Inputs {
        data_set: &data_set.name,
        schema: &schema,
        options,
        sizes,
        progress,
        stop,
        connect: &|| one_more(&connection, "profile", &schema, &join),
        existing: if only_compare { &[] } else { &place.tables },
        types: &types,
    };
    let plan = plan::make(&inputs, catalog, &mut snapshot)?;
    Ok(Set { connection, snapshot, plan, place })
}

/// The schema that the user named, or the first of the search path.
fn choose_schema(
    client: &mut Client,
    wanted: Option<String>,
    first: Option<String>,
) -> Result<String> {
    let Some(name) = wanted else {
        return first.ok_or_else(|| {
            Error::refused("the source's search path names no schema that exists")
                .hint("name the schema with --schema")
        });
    };
    let sql = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let what = "cannot look for the schema";
    if client.query_opt(sql, &[&name]).map_err(failed(what))?.is_none() {
        return Err(Error::refused(format!("the source has no schema {}", quote(&name))));
    }
    Ok(name)
}

/// Holds the schema's lock as a reader: a run that fills the schema holds it for itself.
fn share_lock(client: &mut Client, schema: &str) -> Result<()> {
    let taken: bool = client
        .query_one("SELECT pg_catalog.pg_try_advisory_lock_shared($1)", &[&advisory_key(schema)])
        .map_err(failed("cannot lock the source"))?
        .get(0);
    if taken {
        return Ok(());
    }
    Err(Error::refused(format!(
        "another run of migrate is filling schema {} of the source",
        quote(schema)
    ))
    .hint("wait for its end, or end it"))
}

/// What a run from SQLite kept of the types that it gave.
///
/// # Errors
/// Refused, where such a run did not come to its end.
fn types_of_earlier_run(client: &mut Client, schema: &str) -> Result<Value> {
    let mut types = serde_json::Map::new();
    for mut entry in Ledger::entries(client, schema)?.unwrap_or_default() {
        if !entry.state.is_some_and(|state| state.is_complete()) {
            return Err(Error::refused(format!(
                "schema {} of the source is half loaded",
                quote(schema)
            ))
            .caused_by(format!(
                "an earlier run of {} did not come to its end",
                quote(&entry.data_set)
            ))
            .hint("finish that run first"));
        }
        if let Value::Object(tables) = entry.detail["types"].take() {
            types.extend(tables);
        }
    }
    Ok(types.into())
}

/// Refuses a target with tables, unless it may be replaced.
fn refuse_occupied(place: &Place, options: &Options) -> Result<()> {
    if place.tables.is_empty() || options.drop_all {
        return Ok(());
    }
    const NAMED: usize = 10;
    let mut list: Vec<String> = place.tables.iter().take(NAMED).map(|name| quote(name)).collect();
    if place.tables.len() > NAMED {
        list.push(format!("and {} more", place.tables.len() - NAMED));
    }
    Err(Error::refused(format!("{} is not empty", place.path.display()))
        .caused_by(format!("it holds the tables {}", list.join(", ")))
        .hint("--drop-all replaces it; until the new one is whole it stays as it is"))
}

/// One more reader of the run, in the snapshot.
fn one_more(
    connection: &Connection,
    purpose: &str,
    schema: &str,
    join: &str,
) -> Result<TupleReader> {
    let mut reader = locked(connection, purpose, schema)?;
    let what = "cannot share one view of the source";
    // A lost reader starts again in the middle: the same query gives the same order.
    let same = "SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off";
    reader.simple_query(same).and_then(|_| reader.simple_query(join)).map_err(failed(what))?;
    Ok(reader)
}

/// One more session of the run, holding the run's lock as all of them do.
fn locked(connection: &Connection, purpose: &str, schema: &str) -> Result<TupleReader> {
    let mut reader: TupleReader = connect(connection, purpose)?.client;
    let lock = format!("SELECT pg_catalog.pg_advisory_lock_shared({})", advisory_key(schema));
    reader.simple_query(&lock).map_err(failed("cannot lock the source"))?;
    Ok(reader)
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        let sets = self.sets.iter().map(|set| {
            let mut summary = set.plan.summary(&set.place.path.display().to_string());
            if matches!(self.options.verify, Verify::Only(_)) {
                let note = "nothing is written: the two sides are only compared";
                summary.notes.push(note.to_owned());
            }
            summary
        });
        PlanSummary {
            source: self.source_name(),
            target: self.target_name(),
            data_sets: sets.collect(),
            warnings: Vec::new(),
        }
    }

    fn run(mut self, progress: &Arc<Progress>) -> Outcome {
        let mut reports = Vec::new();
        let (source, target) = (self.source_name(), self.target_name());
        let mut sets = std::mem::take(&mut self.sets);
        let result = sets.iter_mut().try_for_each(|set| self.one(set, progress, &mut reports));
        progress.end();
        let phases = Phase::ALL
            .into_iter()
            .map(|phase| PhaseTime { phase, seconds: progress.phase(phase).seconds() })
            .filter(|time| time.seconds > 0.0);
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            target,
            data_sets: reports,
            phases: phases.collect(),
            seconds: self.started.elapsed().as_secs_f64(),
            warnings: Vec::new(),
        };
        Outcome { report, result }
    }
}

impl Run {
    fn source_name(&self) -> String {
        let mut names: Vec<String> = self.sets.iter().map(|set| set.connection.display()).collect();
        names.dedup();
        names.join(", ")
    }

    fn target_name(&self) -> String {
        let names = self.sets.iter().map(|set| set.place.path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Moves or compares one data set.
    fn one(
        &self,
        set: &mut Set,
        progress: &Progress,
        reports: &mut Vec<DataSetReport>,
    ) -> Result<()> {
        let mut report = set.report();
        let result = match self.options.verify {
            Verify::Only(depth) => {
                let file = set.place.path.clone();
                self.compare(set, &file, depth, progress, &mut report)
            }
            _ => self.copy(set, progress, &mut report),
        };
        reports.push(report);
        result
    }

    /// Copies into a partial file, finishes, verifies, and gives it its name.
    fn copy(&self, set: &mut Set, progress: &Progress, report: &mut DataSetReport) -> Result<()> {
        progress.enter(Phase::Copy);
        let counters = progress.phase(Phase::Copy);
        counters.total.fetch_add(set.plan.rows(), Ordering::Relaxed);
        counters.set_tables(set.plan.tables.iter().map(PlannedTable::to_watch).collect());
        let partial = Partial::begin(&set.place)?;
        let cache = self.sizes.budget / CACHE_SHARE;
        let sizes = Sizes { budget: self.sizes.budget - cache, ..self.sizes };
        let writer = FileWriter::open(&partial.path(), set.place.page_size, cache)?;
        for table in &set.plan.tables {
            let what = format!("cannot create table {}", quote(&table.ddl.name));
            writer.run(&what, &table.ddl.create())?;
        }
        let join = set.snapshot.join();
        let (connection, schema) = (&set.connection, &set.plan.schema);
        let reader = || one_more(connection, "copy", schema, &join);
        let copied = copy::run(&set.plan, &writer, &reader, &sizes, counters, &self.stop)?;
        for (table, copied) in report.tables.iter_mut().zip(copied) {
            (table.rows, table.bytes, table.seconds) = (copied.rows, copied.bytes, copied.seconds);
        }
        progress.enter(Phase::Finish);
        let counters = progress.phase(Phase::Finish);
        let finished = finish::run(&set.plan, &writer, counters, &self.stop)?;
        report.steps = finished.steps;
        report.left_out.extend(finished.left_out);
        writer.close()?;
        if let Verify::AfterCopy(depth) = self.options.verify {
            self.compare(set, &partial.path(), depth, progress, report)?;
        }
        if report.verdict == Verdict::Differ {
            report.hints.push(
                "the new file is removed, and nothing was put in the target's place".to_owned(),
            );
            return Ok(());
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::failed("interrupted"));
        }
        report.notes.extend(partial.publish()?);
        Ok(())
    }

    /// Compares a file with the snapshot, and records the verdict.
    fn compare(
        &self,
        set: &mut Set,
        file: &Path,
        depth: Depth,
        progress: &Progress,
        report: &mut DataSetReport,
    ) -> Result<()> {
        progress.enter(Phase::Verify);
        let temp_dir = self.options.temp_dir.clone();
        let source = Source::open(file, &SourceOptions { temp_dir, ..SourceOptions::default() })?;
        let settings = Settings {
            depth,
            options: &self.options,
            sizes: &self.sizes,
            progress: progress.phase(Phase::Verify),
            stop: &self.stop,
            ledger: None,
        };
        let (connection, schema) = (&set.connection, set.plan.schema.clone());
        let one_more = || locked(connection, "verify", &schema);
        let copied = !matches!(self.options.verify, Verify::Only(_));
        compare::run(&set.plan, &source, &mut set.snapshot, &one_more, &settings, copied, report)?;
        source.close()?;
        Ok(())
    }
}

impl PlannedTable {
    fn to_watch(&self) -> TableProgress {
        TableProgress { name: self.name.clone(), total: self.rows, done: AtomicU64::new(0) }
    }
}

impl Set {
    /// The report before anything was done.
    fn report(&self) -> DataSetReport {
        let tables = self.plan.tables.iter().map(|table| TableReport {
            name: table.name.clone(),
            target_name: table.renamed(),
            rows: 0,
            bytes: 0,
            seconds: 0.0,
            conversions: table.conversions(),
            rows_left_out: Vec::new(),
            verification: None,
        });
        let other_types = self.plan.tables.iter().flat_map(|table| {
            table.columns.iter().filter_map(move |column| {
                let reason = column.proposal.reason?;
                Some(format!(
                    "{}.{}, {} in PostgreSQL, becomes {}: {reason}",
                    quote(&table.name),
                    quote(&column.name),
                    column.source_type,
                    column.proposal.declared
                ))
            })
        });
        DataSetReport {
            name: self.plan.data_set.clone(),
            target_schema: self.place.path.display().to_string(),
            verdict: Verdict::NotVerified,
            tables: tables.collect(),
            left_out: self.plan.left_out.clone(),
            steps: Vec::new(),
            notes: self.plan.notes.iter().cloned().chain(other_types).collect(),
            differences: Vec::new(),
            hints: Vec::new(),
        }
    }
}

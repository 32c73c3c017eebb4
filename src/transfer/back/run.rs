//! A run of the way back, from opening both databases to the report.

use super::open::{Set, locked, one_more, prepare_one};
use super::plan::PlannedTable;
use super::{compare, copy, finish};
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress, TableProgress};
use crate::schema::names::quote;
use crate::sqlite::partial::Partial;
use crate::sqlite::write::FileWriter;
use crate::sqlite::{Source, SourceOptions};
use crate::transfer::Planned;
use crate::transfer::interrupt::{self, Interrupt};
use crate::transfer::options::{Depth, OnMisfit, Options, Verify};
use crate::transfer::report::{DataSetReport, Outcome, PhaseTime, PlanSummary, Report, Verdict};
use crate::transfer::sizes::Sizes;
use crate::transfer::stop::on_signals;
use crate::transfer::verify::Settings;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Of the memory for rows in flight, the part that SQLite's page cache takes instead: rows wait
/// for the writer, so that more of them in flight would gain nothing.
const CACHE_SHARE: u64 = 2;

/// A planned run of the way back.
pub struct Run {
    options: Options,
    sets: Vec<Set>,
    sizes: Sizes,
    interrupt: Interrupt,
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
    let interrupt = Interrupt::watch(&stop);
    let sets = options.data_sets.iter();
    let sets = sets.map(|set| prepare_one(set, options, &sizes, progress, &interrupt));
    let sets = sets.collect::<Result<Vec<Set>>>();
    let sets = sets.map_err(|error| interrupt::told(&stop, error))?;
    Ok(Run { options: options.clone(), sets, sizes, interrupt, started })
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
        let result = result.map_err(|error| interrupt::told(self.interrupt.stop(), error));
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
        let (connection, locks) = (&set.connection, set.locks);
        let reader = || one_more(connection, "copy", locks, &join);
        let copied =
            copy::run(&set.plan, &writer, &reader, &sizes, counters, self.interrupt.stop())?;
        for (table, copied) in report.tables.iter_mut().zip(copied) {
            (table.rows, table.bytes, table.seconds) = (copied.rows, copied.bytes, copied.seconds);
        }
        progress.enter(Phase::Finish);
        let counters = progress.phase(Phase::Finish);
        let finished = finish::run(&set.plan, &writer, counters, self.interrupt.stop())?;
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
        if self.interrupt.stop().load(Ordering::Relaxed) {
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
        self.interrupt.add_source(&source);
        let settings = Settings {
            depth,
            options: &self.options,
            sizes: &self.sizes,
            progress: progress.phase(Phase::Verify),
            stop: self.interrupt.stop(),
            ledger: None,
        };
        let (connection, locks) = (&set.connection, set.locks);
        let one_more = || locked(connection, "verify", locks);
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

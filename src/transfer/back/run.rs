//! A run of the way back, from opening both databases to the report.

use super::open::{Set, locked, one_more, prepare_one};
use super::plan::PlannedTable;
use super::{compare, copy, finish};
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress, TableProgress};
use crate::schema::names::quote;
use crate::sqlite::partial::Partial;
use crate::sqlite::write::FileWriter;
use crate::sqlite::{Source, backup};
use crate::transfer::Planned;
use crate::transfer::guard::{Moment, look_first};
use crate::transfer::interrupt::Interrupt;
use crate::transfer::open::open_source;
use crate::transfer::options::{Depth, OnMisfit, Options, Verify};
use crate::transfer::report::{
    DataSetReport, Outcome, PhaseTime, PlanSummary, RateReport, Report, TimeLimit, Verdict,
};
use crate::transfer::sizes::Sizes;
use crate::transfer::stop::on_signals;
use crate::transfer::verify::Settings;
use std::collections::HashSet;
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
    /// What the user should know beside what the plans say.
    warnings: Vec<String>,
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
    let mut warnings = look_first(options)?;
    let interrupt = Interrupt::watch(&stop);
    if let Some(deadline) = options.deadline.clone() {
        interrupt.stop_when(move || deadline.seconds_left() <= 0.0);
    }
    let sets = options.data_sets.iter();
    let sets = sets.map(|set| prepare_one(set, options, &sizes, progress, &interrupt));
    let sets = sets.collect::<Result<Vec<Set>>>();
    let mut sets = sets.map_err(|error| interrupt.told(error))?;
    for set in &mut sets {
        warnings.extend(set.look(options, Moment::Before)?);
    }
    let mut told = HashSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    Ok(Run { options: options.clone(), sets, warnings, sizes, interrupt, started })
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
            limit: self.limit(),
            warnings: self.warnings.clone(),
        }
    }

    fn run(mut self, progress: &Arc<Progress>) -> Outcome {
        let mut reports = Vec::new();
        let (source, target) = (self.source_name(), self.target_name());
        let mut sets = std::mem::take(&mut self.sets);
        let result = self.work(&mut sets, progress, &mut reports);
        let result = result.map_err(|error| self.interrupt.told(error));
        progress.end();
        let limit = self.limit();
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            target,
            data_sets: reports,
            phases: PhaseTime::all(progress),
            seconds: self.started.elapsed().as_secs_f64(),
            limit,
            max_rate: RateReport::of(self.options.max_rate, progress),
            warnings: self.warnings,
        };
        Outcome { report, result }
    }
}

impl Run {
    fn limit(&self) -> Option<TimeLimit> {
        let deadline = self.options.deadline.as_ref()?.to_string();
        Some(TimeLimit { deadline, estimate: None })
    }

    fn source_name(&self) -> String {
        let mut names: Vec<String> = self.sets.iter().map(|set| set.connection.display()).collect();
        names.dedup();
        names.join(", ")
    }

    fn target_name(&self) -> String {
        let names = self.sets.iter().map(|set| set.place.path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    fn work(
        &mut self,
        sets: &mut [Set],
        progress: &Progress,
        reports: &mut Vec<DataSetReport>,
    ) -> Result<()> {
        if let Verify::Only(depth) = self.options.verify {
            return sets.iter_mut().try_for_each(|set| {
                let (file, mut report) = (set.place.path.clone(), set.report());
                let compared = self.compare(set, &file, depth, progress, &mut report);
                reports.push(report);
                compared
            });
        }
        // The plan may have taken long.
        for set in sets.iter_mut() {
            set.look(&self.options, Moment::Before)?;
        }
        self.back_up(sets)?;
        let mut made = Vec::with_capacity(sets.len());
        for set in sets.iter_mut() {
            let mut report = set.report();
            let copied = self.copy(set, progress, &mut report);
            reports.push(report);
            made.push(copied?);
        }
        // Nothing takes the place of anything before all of it is good.
        if reports.iter().any(|report| report.verdict == Verdict::Differ) {
            return Ok(());
        }
        for ((partial, report), set) in made.into_iter().zip(reports).zip(sets) {
            report.notes.extend(partial.publish()?);
            // Only the products' own command has a use for it.
            if self.options.guard.service.is_some() {
                set.keep_verdict(report.verdict)?;
            }
        }
        Ok(())
    }

    /// Backs up the files that are to be replaced.
    fn back_up(&mut self, sets: &[Set]) -> Result<()> {
        let Some(folder) = &self.options.backup else { return Ok(()) };
        let files = sets.iter().filter(|set| set.place.is_occupied());
        let old = files.map(|set| open_source(&set.place.path, &self.options));
        let old = old.collect::<Result<Vec<Source>>>()?;
        let made = backup::back_up(&old.iter().collect::<Vec<_>>(), folder)?;
        let told = made.iter().map(|path| format!("a backup was made: {}", path.display()));
        self.warnings.extend(told);
        old.into_iter().try_for_each(|source| source.close().map(drop))
    }

    /// Copies into a partial file, finishes and verifies.
    fn copy(
        &self,
        set: &mut Set,
        progress: &Progress,
        report: &mut DataSetReport,
    ) -> Result<Partial> {
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
        }
        if self.interrupt.stop().load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        Ok(partial)
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
        set.look(&self.options, Moment::During)?;
        let source = open_source(file, &self.options)?;
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
        set.look(&self.options, Moment::During)?;
        Ok(())
    }
}

impl PlannedTable {
    fn to_watch(&self) -> TableProgress {
        TableProgress { name: self.name.clone(), total: self.rows, done: AtomicU64::new(0) }
    }
}

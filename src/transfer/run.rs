//! A run, from opening both databases to the report.

use crate::config::connection::Connection;
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress};
use crate::schema::ObjectKind;
use crate::schema::names::quote;
use crate::sqlite::{Source, backup};
use crate::transfer::Planned;
use crate::transfer::copy::TableStats;
use crate::transfer::earlier::{Way, ways};
use crate::transfer::estimate;
use crate::transfer::guard::{Moment, look_first};
use crate::transfer::interrupt::Interrupt;
use crate::transfer::loading::{Loading, Terms};
use crate::transfer::open::{Opened, Opener};
use crate::transfer::options::{Depth, OnMisfit, Options, Verify};
use crate::transfer::pause::{self, There};
use crate::transfer::plan::reject::{self, RejectFile};
use crate::transfer::report::{
    DataSetPlan, DataSetReport, Outcome, PhaseTime, PlanSummary, RateReport, Report, TimeLimit,
    Verdict,
};
use crate::transfer::shared::refuse_shared_names;
use crate::transfer::sizes::Sizes;
use crate::transfer::stop::on_signals;
use crate::transfer::verify::comparison::Comparison;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A planned run.
pub struct Run {
    options: Options,
    sets: Vec<Loading>,
    /// What is only compared.
    comparisons: Vec<(Comparison, Depth)>,
    /// What the user should know beside what the plans say.
    warnings: Vec<String>,
    sizes: Sizes,
    /// When it must be over.
    limit: Option<TimeLimit>,
    /// Where rows go that the target cannot hold.
    reject_file: Option<PathBuf>,
    /// The user's wish to stop; at work until the run is over.
    interrupt: Interrupt,
    progress: Arc<Progress>,
    started: Instant,
}

/// Opens and fences the sources, connects to the targets, profiles, and plans.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub fn prepare(options: &Options, progress: &Arc<Progress>) -> Result<Run> {
    let stop = on_signals()?;
    prepare_all(options, progress, &stop).map_err(|error| {
        let late = options.deadline.as_ref().is_some_and(|at| at.seconds_left() <= 0.0);
        let is_pause = pause::is_of_the_stop(&stop, &error);
        if is_pause { pause::before_writing(late) } else { error }
    })
}

fn prepare_all(options: &Options, progress: &Arc<Progress>, stop: &Arc<AtomicBool>) -> Result<Run> {
    let started = Instant::now();
    let interrupt = Interrupt::watch(stop);
    if let Some(deadline) = options.deadline.clone() {
        interrupt.stop_when(move || deadline.seconds_left() <= 0.0);
    }
    let sizes = Sizes::choose(options);
    progress.enter(Phase::Open);
    let mut warnings = look_first(options)?;
    let is_halted = || stop.load(Ordering::Relaxed);
    let terms = Terms { options, sizes: &sizes, progress, stop, is_halted: &is_halted };
    let mut opener = Opener::new(options, &interrupt, progress);
    let opened = options.data_sets.iter().map(|data_set| opener.open(data_set));
    let mut opened: Vec<Opened> = opened.collect::<Result<_>>()?;
    let (ways, told) = ways(options, &mut opened)?;
    warnings.extend(told);
    let continues = ways.iter().any(|way| matches!(way, Way::Continue(_)));
    if !continues {
        reject::refuse_existing(options)?;
    }
    let (mut sets, mut comparisons) = (Vec::new(), Vec::new());
    for (opened, way) in opened.into_iter().zip(ways) {
        match way {
            Way::Compare(depth) => {
                comparisons.push((Comparison::prepare(opened, depth, options)?, depth));
            }
            Way::Copy(drop) => sets.push(Loading::plan(opened, &drop, &terms)?),
            Way::Continue(unfinished) => sets.push(Loading::go_on(opened, *unfinished)?),
        }
    }
    refuse_shared_names(sets.iter().map(|set| (set.place.as_str(), &set.plan)))?;
    for set in &mut sets {
        warnings.extend(set.look(&terms, Moment::Before)?);
    }
    for (one, _) in &mut comparisons {
        warnings.extend(one.look(options, Moment::Before)?);
    }
    let limit = match &options.deadline {
        Some(deadline) => Some(estimate::of_all(&mut sets, deadline, &terms)?),
        None => None,
    };
    let mut told = HashSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    let reject_file = match &options.on_misfit {
        OnMisfit::Reject { file } => Some(file.clone()),
        _ => None,
    };
    // What could not be found out because it was interrupted is no finding.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::interrupted());
    }
    let (options, progress) = (options.clone(), Arc::clone(progress));
    Ok(Run {
        options,
        sets,
        comparisons,
        warnings,
        sizes,
        limit,
        reject_file,
        interrupt,
        progress,
        started,
    })
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        PlanSummary {
            source: self.source_name(),
            target: self.target_name(),
            data_sets: {
                let sets = self.sets.iter().map(|set| self.summary_of(set));
                let compared = self.comparisons.iter().map(|(one, _)| one.summary());
                compared.chain(sets).collect()
            },
            limit: self.limit.clone(),
            warnings: self.warnings(),
        }
    }

    fn run(mut self, progress: &Arc<Progress>) -> Outcome {
        let mut reports = Vec::new();
        let result = self.work(progress, &mut reports);
        let result = result.map_err(|error| self.paused(error));
        let mut warnings = self.warnings();
        let (source, target) = (self.source_name(), self.target_name());
        let sources = self.sets.into_iter().map(|set| set.source);
        for source in sources.chain(self.comparisons.into_iter().map(|(one, _)| one.source)) {
            match source.close() {
                Ok(None) => {}
                Ok(Some(changed)) => warnings.push(changed),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        progress.end();
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            target,
            data_sets: reports,
            phases: PhaseTime::all(progress),
            seconds: self.started.elapsed().as_secs_f64(),
            limit: self.limit,
            max_rate: RateReport::of(self.options.max_rate, progress),
            warnings,
        };
        Outcome { report, result }
    }
}

impl Run {
    /// What is told of a run that ended with `error`.
    fn paused(&mut self, error: Error) -> Error {
        if !pause::is_of_the_stop(self.interrupt.stop(), &error) {
            return error;
        }
        let late = self.interrupt.is_late();
        if !self.interrupt.writes() {
            return pause::before_writing(late);
        }
        self.interrupt.cease();
        match self.sets.iter_mut().map(Loading::there).collect::<Result<Vec<There>>>() {
            Ok(there) => pause::while_writing(late, &there),
            Err(error) => {
                error.within("the run was stopped, and cannot tell what is in the target")
            }
        }
    }

    /// Content that does not arrive although nobody asked for that.
    fn warnings(&self) -> Vec<String> {
        let left_out = self.sets.iter().flat_map(|set| &set.plan.left_out);
        let rejected = self.sets.iter().flat_map(|set| &set.plan.tables).filter_map(|table| {
            let rows = Some(table.rows_rejected()).filter(|rows| *rows > 0)?;
            Some(format!("{rows} rows of table {} are left out", quote(&table.name)))
        });
        let left_out = left_out
            .filter(|left| left.kind != ObjectKind::Table || left.rows.is_some())
            .filter_map(|left| {
                let rows = left.rows.filter(|rows| *rows > 0)?;
                Some(format!(
                    "{} {} holds {rows} rows that do not arrive",
                    left.kind.word(),
                    quote(&left.name)
                ))
            })
            .chain(rejected);
        self.warnings.iter().cloned().chain(left_out).collect()
    }

    /// What a data set's plan says. What another data set makes again in the same schema is not
    /// lost.
    fn summary_of(&self, set: &Loading) -> DataSetPlan {
        let mut summary = set.summary();
        let others = self.sets.iter().filter(|other| other.place == set.place);
        let tables = others.flat_map(|other| &other.plan.tables);
        let made: HashSet<&str> = tables.map(|table| table.ddl.name.as_str()).collect();
        for dropped in &mut summary.drops {
            dropped.comes_back |= made.contains(dropped.name.as_str());
        }
        summary
    }

    fn source_name(&self) -> String {
        let sources = self.sets.iter().map(|set| &set.source);
        let sources = sources.chain(self.comparisons.iter().map(|(one, _)| &one.source));
        let names = sources.map(|source| source.path().display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    fn target_name(&self) -> String {
        let targets = self.sets.iter().map(|set| set.claim.connection());
        let targets = targets.chain(self.comparisons.iter().map(|(one, _)| one.claim.connection()));
        let mut names: Vec<String> = targets.map(Connection::display).collect();
        names.dedup();
        names.join(", ")
    }

    fn work(&mut self, progress: &Progress, reports: &mut Vec<DataSetReport>) -> Result<()> {
        let Self { options, sets, comparisons, sizes, interrupt, .. } = self;
        let stop = interrupt.stop();
        let is_halted = || stop.load(Ordering::Relaxed);
        let terms = Terms { options, sizes, progress, stop, is_halted: &is_halted };
        for (one, depth) in comparisons {
            reports.push(one.run(*depth, &terms)?);
        }
        if sets.is_empty() {
            return Ok(());
        }
        // The profile may have taken long.
        for set in sets.iter_mut() {
            set.look(&terms, Moment::Before)?;
        }
        if let Some(folder) = &options.backup {
            let sources: Vec<&Source> = sets.iter().map(|set| &set.source).collect();
            let made = backup::back_up(&sources, folder)?;
            let told = made.iter().map(|path| format!("a backup was made: {}", path.display()));
            self.warnings.extend(told);
        }
        if is_halted() {
            return Err(Error::interrupted());
        }
        interrupt.begin_writing();
        progress.enter(Phase::Copy);
        let total: u64 = sets.iter().map(|set| set.plan.rows()).sum();
        progress.phase(Phase::Copy).total.store(total, Ordering::Relaxed);
        if let Some(path) = &self.reject_file {
            write_rejected(path, sets)?;
        }
        let mut emptied = HashSet::new();
        for set in sets.iter_mut() {
            if !set.plan.drop_all || emptied.insert(set.place.clone()) {
                set.drop_old(&terms)?;
            }
        }
        for set in sets {
            if let Some(watch) = estimate::Watch::over(set, options, progress) {
                let progress = Arc::clone(&self.progress);
                interrupt.stop_when(move || watch.is_over(&progress));
            }
            set.begin(&terms)?;
            let stats: Vec<TableStats> =
                set.plan.tables.iter().map(|_| TableStats::default()).collect();
            let done = set.fill(&terms, &stats);
            let mut report = set.report(&stats, done.as_ref().ok().cloned().unwrap_or_default());
            let done = done.and_then(|_| match options.verify {
                Verify::AfterCopy(depth) => set.verify(depth, &terms, &mut report),
                _ => Ok(()),
            });
            let verdict = report.verdict;
            reports.push(report);
            done?;
            if verdict == Verdict::Match {
                set.drop_ledger(&terms)?;
            }
        }
        Ok(())
    }
}

/// Writes the rows that are left out to the reject file, before anything else is written.
fn write_rejected(path: &Path, sets: &[Loading]) -> Result<()> {
    let is_continued = sets.iter().any(Loading::is_continued);
    let file = if is_continued { RejectFile::open(path)? } else { RejectFile::create(path)? };
    let (continued, anew): (Vec<_>, Vec<_>) = sets.iter().partition(|set| set.is_continued());
    let kept: HashSet<&str> = continued.iter().flat_map(|set| set.plan.rejecting()).collect();
    for name in anew.iter().flat_map(|set| set.plan.rejecting()) {
        if !kept.contains(name) {
            file.forget(name)?;
        }
    }
    for set in sets {
        reject::add_rows(&file, &set.plan, &set.source.connect()?, set.is_continued())?;
    }
    file.finish()
}

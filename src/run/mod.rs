//! A run, from opening both databases to the report: one story for both directions. What they do
//! each in its own way lies behind [`Sets`].

pub(crate) mod data_set;
pub(crate) mod estimate;
pub(crate) mod name_conflicts;
pub(crate) mod open;
pub(crate) mod pause;
pub(crate) mod planned;
pub(crate) mod resume;
pub(crate) mod service_check;
pub(crate) mod status;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

use crate::control::deadline::Deadline;
use crate::control::progress::{Phase, Progress};
use crate::control::signals::on_signals;
use crate::control::sizing::Sizes;
use crate::control::statement_cancel::Interrupt;
use crate::error::{Error, Result};
use crate::options::{Depth, Location, Options, Verify};
use crate::report::{
    DataSetPlan, DataSetReport, Outcome, PhaseTime, PlanSummary, RateReport, Report, TimeLimit,
};
use crate::run::data_set::to_postgres::Terms;
use crate::run::planned::Planned;
use crate::run::service_check::{Moment, look_first};
use crate::run::to_postgres::IntoPostgres;
use crate::run::to_sqlite::IntoSqlite;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The data sets of a run, opened and planned, and the steps that each direction takes in its own
/// way, in the order in which a run takes them.
trait Sets: Send {
    /// The sources and the targets, for people.
    fn names(&self) -> (String, String);

    /// What will be done with each.
    fn summary(&self) -> Vec<DataSetPlan>;

    /// Content that does not arrive although nobody asked for that.
    fn warnings(&self) -> Vec<String>;

    /// Asks the guard about each, and returns its warnings.
    fn look(&mut self, terms: &Terms<'_>, moment: Moment) -> Result<Vec<String>>;

    /// What is known of the time that all will take; an error where that is too long.
    fn limit(&mut self, deadline: &Deadline, terms: &Terms<'_>) -> Result<TimeLimit>;

    /// Compares those that are not filled.
    fn compare(&mut self, terms: &Terms<'_>, reports: &mut Vec<DataSetReport>) -> Result<()>;

    /// How many are filled.
    fn to_fill(&self) -> usize;

    /// The rows of those.
    fn rows(&self) -> u64;

    /// Backs up the SQLite files, and says where to.
    fn back_up(&self, folder: &Path, terms: &Terms<'_>) -> Result<Vec<PathBuf>>;

    /// Makes room for all, before any of them is filled.
    fn make_room(&mut self, terms: &Terms<'_>) -> Result<()>;

    /// Copies and finishes one. What was done is told of a failure, too.
    fn fill(&mut self, place: usize, terms: &Terms<'_>) -> (DataSetReport, Result<()>);

    /// Compares one that was filled, and records the verdict.
    fn verify(
        &mut self,
        place: usize,
        depth: Depth,
        terms: &Terms<'_>,
        report: &mut DataSetReport,
    ) -> Result<()>;

    /// Ends the work on all that were filled, whose reports these are.
    fn settle(&mut self, terms: &Terms<'_>, reports: &mut [DataSetReport]) -> Result<()>;

    /// What is told of a run that ended with `error`, which may be the user's wish.
    fn stopped(&mut self, interrupt: &Interrupt, error: Error) -> Error;

    /// Closes both sides, and says what should not be as it is.
    fn close(self: Box<Self>) -> Vec<String>;
}

/// A planned run.
pub(crate) struct Run {
    options: Options,
    sets: Box<dyn Sets>,
    /// What the user should know beside what the plans say.
    warnings: Vec<String>,
    sizes: Sizes,
    /// When it must be over.
    limit: Option<TimeLimit>,
    /// The user's wish to stop; at work until the run is over.
    interrupt: Interrupt,
    started: Instant,
}

/// Opens both sides, holds the sources still, and plans.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub(crate) fn prepare(options: &Options, progress: &Arc<Progress>) -> Result<Run> {
    prepare_until(&on_signals()?, options, progress)
}

/// The same for one run of several that the same wish to stop ends.
pub(crate) fn prepare_until(
    stop: &Arc<AtomicBool>,
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Run> {
    let started = Instant::now();
    let interrupt = Interrupt::watch(stop);
    if let Some(deadline) = options.deadline.clone() {
        interrupt.stop_when(move || deadline.seconds_left() <= 0.0);
    }
    let goes_into_sqlite =
        options.data_sets.iter().any(|set| matches!(set.target, Location::Sqlite(_)));
    let sizes = Sizes::choose(options);
    let is_halted = || stop.load(Ordering::Relaxed);
    let terms =
        Terms { options, sizes: &sizes, progress, interrupt: &interrupt, is_halted: &is_halted };
    let planned = || -> Result<_> {
        progress.enter(Phase::Open);
        let mut warnings = look_first(options)?;
        let mut sets: Box<dyn Sets> = match goes_into_sqlite {
            true => Box::new(IntoSqlite::plan(&terms)?),
            false => Box::new(IntoPostgres::plan(&terms, &mut warnings)?),
        };
        warnings.extend(sets.look(&terms, Moment::Before)?);
        let deadline = options.deadline.as_ref();
        let limit = deadline.map(|deadline| sets.limit(deadline, &terms)).transpose()?;
        let mut told = HashSet::new();
        warnings.retain(|warning| told.insert(warning.clone()));
        // What could not be found out because it was interrupted is no finding.
        if is_halted() {
            return Err(Error::interrupted());
        }
        Ok((sets, warnings, limit))
    };
    let (sets, warnings, limit) = planned().map_err(|error| match goes_into_sqlite {
        true => interrupt.told(error),
        false if pause::is_of_the_stop(stop, &error) => pause::before_writing(interrupt.is_late()),
        false => error,
    })?;
    Ok(Run { options: options.clone(), sets, warnings, sizes, limit, interrupt, started })
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        let (source, target) = self.sets.names();
        PlanSummary {
            source,
            target,
            data_sets: self.sets.summary(),
            limit: self.limit.clone(),
            warnings: self.warnings(),
        }
    }

    fn run(mut self, progress: &Arc<Progress>) -> Outcome {
        let mut reports = Vec::new();
        let result = self.work(progress, &mut reports);
        let result = result.map_err(|error| self.sets.stopped(&self.interrupt, error));
        let mut warnings = self.warnings();
        let (source, target) = self.sets.names();
        warnings.extend(self.sets.close());
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
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        warnings.extend(self.sets.warnings());
        warnings
    }

    fn work(&mut self, progress: &Arc<Progress>, reports: &mut Vec<DataSetReport>) -> Result<()> {
        let Self { options, sets, sizes, interrupt, .. } = self;
        let is_halted = || interrupt.stop().load(Ordering::Relaxed);
        let terms = Terms { options, sizes, progress, interrupt, is_halted: &is_halted };
        sets.compare(&terms, reports)?;
        if sets.to_fill() == 0 {
            return Ok(());
        }
        // The plan may have taken long.
        sets.look(&terms, Moment::Before)?;
        if let Some(folder) = &options.backup {
            let made = sets.back_up(folder, &terms)?;
            let told = made.iter().map(|path| format!("a backup was made: {}", path.display()));
            self.warnings.extend(told);
        }
        if is_halted() {
            return Err(Error::interrupted());
        }
        progress.enter(Phase::Copy);
        progress.phase(Phase::Copy).total.store(sets.rows(), Ordering::Relaxed);
        sets.make_room(&terms)?;
        let compared = reports.len();
        for place in 0..sets.to_fill() {
            let (mut report, filled) = sets.fill(place, &terms);
            let done = filled.and_then(|()| match options.verify {
                Verify::AfterCopy(depth) => sets.verify(place, depth, &terms, &mut report),
                _ => Ok(()),
            });
            reports.push(report);
            done?;
        }
        sets.settle(&terms, &mut reports[compared..])
    }
}

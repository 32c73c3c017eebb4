//! A run, from opening both databases to the report: one story for both directions. What they do
//! each in its own way lies behind [`Direction`].

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
use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::{Depth, Location, Options, Verify};
use crate::report::{
    DataSetPlan, DataSetReport, Outcome, PhaseTime, PlanSummary, RateReport, Report, TimeLimit,
};
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::planned::Planned;
use crate::run::service_check::{CheckTime, look_first};
use crate::run::to_postgres::IntoPostgres;
use crate::run::to_sqlite::IntoSqlite;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The data sets of a run, opened and planned, and the steps that each direction takes in its own
/// way, in the order in which a run takes them.
trait Direction: Send {
    /// The sources and the targets, for people.
    fn names(&self) -> (String, String);

    /// What will be done with each.
    fn summary(&self) -> Vec<DataSetPlan>;

    /// Content that does not arrive although nobody asked for that.
    fn warnings(&self) -> Vec<String>;

    /// Asks the guard about each, and returns its warnings.
    fn look(&mut self, env: &RunEnv<'_>, moment: CheckTime) -> Result<Vec<String>>;

    /// What is known of the time that all will take; an error where that is too long.
    fn limit(&mut self, deadline: &Deadline, env: &RunEnv<'_>) -> Result<TimeLimit>;

    /// Compares those that are not filled.
    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()>;

    /// How many are filled.
    fn pending_count(&self) -> usize;

    /// The rows of those.
    fn rows(&self) -> u64;

    /// Backs up the SQLite files, and says where to.
    fn back_up(&self, folder: &Path, env: &RunEnv<'_>) -> Result<Vec<PathBuf>>;

    /// Makes room for all, before any of them is filled.
    fn drop_existing(&mut self, env: &RunEnv<'_>) -> Result<()>;

    /// Copies and finishes one. What was done is told of a failure, too.
    fn load(&mut self, place: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>);

    /// Compares one that was filled, and records the verdict.
    fn verify(
        &mut self,
        place: usize,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()>;

    /// Ends the work on all that were filled, whose reports these are.
    fn commit_all(&mut self, env: &RunEnv<'_>, reports: &mut [DataSetReport]) -> Result<()>;

    /// What is told of a run that ended with `error`, which may be the user's wish.
    fn map_stop_error(&mut self, canceller: &StatementCanceller, error: Error) -> Error;

    /// Closes both sides, and says what should not be as it is.
    fn close(self: Box<Self>) -> Vec<String>;
}

/// A planned run.
pub(crate) struct Run {
    options: Options,
    sets: Box<dyn Direction>,
    /// What the user should know beside what the plans say.
    warnings: Vec<String>,
    resources: Resources,
    /// When it must be over.
    limit: Option<TimeLimit>,
    /// The user's wish to stop; at work until the run is over.
    canceller: StatementCanceller,
    started: Instant,
}

/// Opens both sides, holds the sources still, and plans.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub(crate) fn prepare(options: &Options, control: &RunControl) -> Result<Run> {
    let started = Instant::now();
    let RunControl { cancel, progress, .. } = control;
    let canceller = StatementCanceller::watch(cancel);
    if let Some(deadline) = options.deadline.clone() {
        canceller.cancel_when(move || deadline.seconds_left() <= 0.0);
    }
    let goes_into_sqlite =
        options.data_sets.iter().any(|set| matches!(set.target, Location::Sqlite(_)));
    let resources = Resources::choose(&options.resource_limits());
    let env = RunEnv { options, resources: &resources, control, canceller: &canceller };
    let planned = || -> Result<_> {
        progress.enter(Phase::Open);
        let mut warnings = look_first(options)?;
        let mut sets: Box<dyn Direction> = match goes_into_sqlite {
            true => Box::new(IntoSqlite::plan(&env)?),
            false => Box::new(IntoPostgres::plan(&env, &mut warnings)?),
        };
        warnings.extend(sets.look(&env, CheckTime::BeforeWrite)?);
        let deadline = options.deadline.as_ref();
        let limit = deadline.map(|deadline| sets.limit(deadline, &env)).transpose()?;
        let mut told = HashSet::new();
        warnings.retain(|warning| told.insert(warning.clone()));
        // What could not be found out because it was interrupted is no finding.
        cancel.check()?;
        Ok((sets, warnings, limit))
    };
    let (sets, warnings, limit) = planned().map_err(|error| match goes_into_sqlite {
        true => canceller.map_error(error),
        false if pause::caused_by_stop(cancel, &error) => {
            pause::before_writing(canceller.is_late())
        }
        false => error,
    })?;
    Ok(Run { options: options.clone(), sets, warnings, resources, limit, canceller, started })
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

    fn run(mut self, control: &RunControl) -> Outcome {
        let progress = &control.progress;
        let mut reports = Vec::new();
        let result = self.work(control, &mut reports);
        let result = result.map_err(|error| self.sets.map_stop_error(&self.canceller, error));
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

    fn work(&mut self, control: &RunControl, reports: &mut Vec<DataSetReport>) -> Result<()> {
        let RunControl { cancel, progress, .. } = control;
        let Self { options, sets, resources, canceller, .. } = self;
        let env = RunEnv { options, resources, control, canceller };
        sets.compare(&env, reports)?;
        if sets.pending_count() == 0 {
            return Ok(());
        }
        // The plan may have taken long.
        sets.look(&env, CheckTime::BeforeWrite)?;
        if let Some(folder) = &options.backup {
            let made = sets.back_up(folder, &env)?;
            let told = made.iter().map(|path| format!("a backup was made: {}", path.display()));
            self.warnings.extend(told);
        }
        cancel.check()?;
        progress.enter(Phase::Copy);
        progress.phase(Phase::Copy).total.store(sets.rows(), Ordering::Relaxed);
        sets.drop_existing(&env)?;
        let compared = reports.len();
        for place in 0..sets.pending_count() {
            let (mut report, filled) = sets.load(place, &env);
            let done = filled.and_then(|()| match options.verify {
                Verify::AfterCopy(depth) => sets.verify(place, depth, &env, &mut report),
                _ => Ok(()),
            });
            reports.push(report);
            done?;
        }
        sets.commit_all(&env, &mut reports[compared..])
    }
}

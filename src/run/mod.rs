//! One run in either direction, from the opening of both databases to the report. [`Direction`]
//! has the steps that differ between the directions.

pub(crate) mod data_set;
pub(crate) mod direction;
pub(crate) mod env;
pub(crate) mod estimate;
pub(crate) mod name_conflicts;
pub(crate) mod open;
pub(crate) mod pause;
pub(crate) mod resume;
pub(crate) mod service_check;
pub(crate) mod status;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::Result;
use crate::options::location::Location;
use crate::options::run_options::RunOptions;
use crate::report::{
    DataSetReport, Outcome, PhaseTime, PlanSummary, RateReport, Report, TimeLimit,
};
use crate::run::direction::Direction;
use crate::run::env::RunEnv;
use crate::run::service_check::{CheckTime, check_files};
use crate::run::to_postgres::ToPostgres;
use crate::run::to_sqlite::ToSqlite;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A planned run that has not written anything yet.
pub(crate) trait Planned {
    fn summary(&self) -> PlanSummary;

    /// Carries out the plan.
    fn run(self, control: &RunControl) -> Outcome;
}

pub(crate) struct Run {
    options: RunOptions,
    data_sets: Box<dyn Direction>,
    /// The warnings that belong to no data set.
    warnings: Vec<String>,
    resources: Resources,
    limit: Option<TimeLimit>,
    /// Cancels running statements at a stop request, until the run has ended.
    canceller: StatementCanceller,
    started: Instant,
}

/// Opens both sides, locks the sources, and plans. Errors: the run cannot be planned. Nothing was
/// written.
pub(crate) fn prepare(options: &RunOptions, control: &RunControl) -> Result<Run> {
    let started = Instant::now();
    let canceller = StatementCanceller::watch(&control.cancel);
    if let Some(deadline) = options.deadline.clone() {
        canceller.cancel_when(move || deadline.seconds_left() <= 0.0);
    }
    let to_sqlite = options.data_sets.iter().any(|set| matches!(set.target, Location::Sqlite(_)));
    let resources = Resources::choose(&options.limits);
    let env = RunEnv { options, resources: &resources, control, canceller: &canceller };
    let (data_sets, warnings, limit) = plan(&env, to_sqlite).map_err(|error| match to_sqlite {
        true => canceller.map_error(error),
        false if pause::caused_by_stop(&control.cancel, &error) => {
            pause::before_writing(canceller.is_late())
        }
        false => error,
    })?;
    Ok(Run { options: options.clone(), data_sets, warnings, resources, limit, canceller, started })
}

/// The planned data sets, the warnings and the time limit.
type Plans = (Box<dyn Direction>, Vec<String>, Option<TimeLimit>);

fn plan(env: &RunEnv<'_>, to_sqlite: bool) -> Result<Plans> {
    env.control.progress.enter(Phase::Open);
    let mut warnings = check_files(env.options)?;
    let mut data_sets: Box<dyn Direction> = match to_sqlite {
        true => Box::new(ToSqlite::plan(env)?),
        false => Box::new(ToPostgres::plan(env)?),
    };
    warnings.extend(data_sets.check_service(env, CheckTime::BeforeWrite)?);
    let deadline = env.options.deadline.as_ref();
    let limit = deadline.map(|deadline| data_sets.limit(deadline, env)).transpose()?;
    let mut seen = HashSet::new();
    warnings.retain(|warning| seen.insert(warning.clone()));
    // A check that was interrupted has found nothing.
    env.control.cancel.check()?;
    Ok((data_sets, warnings, limit))
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        let (source, target) = self.data_sets.names();
        PlanSummary {
            source,
            target,
            data_sets: self.data_sets.summary(),
            limit: self.limit.clone(),
            warnings: self.warnings(),
        }
    }

    fn run(mut self, control: &RunControl) -> Outcome {
        let progress = &control.progress;
        let mut reports = Vec::new();
        let result = self.load_and_verify(control, &mut reports);
        let result = result.map_err(|error| self.data_sets.map_stop_error(&self.canceller, error));
        let mut warnings = self.warnings();
        let (source, target) = self.data_sets.names();
        warnings.extend(self.data_sets.close());
        progress.end();
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            target,
            data_sets: reports,
            phases: PhaseTime::all(progress),
            seconds: self.started.elapsed().as_secs_f64(),
            limit: self.limit,
            max_rate: RateReport::new(self.options.limits.max_rate, progress),
            warnings,
        };
        Outcome { report, result }
    }
}

impl Run {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        warnings.extend(self.data_sets.warnings());
        warnings
    }

    fn load_and_verify(
        &mut self,
        control: &RunControl,
        reports: &mut Vec<DataSetReport>,
    ) -> Result<()> {
        let Self { options, data_sets, resources, canceller, .. } = self;
        let RunControl { cancel, progress, .. } = control;
        let env = RunEnv { options, resources, control, canceller };
        data_sets.compare(&env, reports)?;
        let pending = data_sets.pending_rows();
        if pending.is_empty() {
            return Ok(());
        }
        // The service may have started while the plan was made.
        data_sets.check_service(&env, CheckTime::BeforeWrite)?;
        if let Some(folder) = &options.backup {
            let copies = data_sets.back_up(folder, &env)?;
            let message = |path: &PathBuf| format!("backup created: {}", path.display());
            self.warnings.extend(copies.iter().map(message));
        }
        cancel.check()?;
        progress.enter(Phase::Copy);
        progress.phase(Phase::Copy).total.store(pending.iter().sum(), Ordering::Relaxed);
        data_sets.drop_existing(&env)?;
        let compared = reports.len();
        for index in 0..pending.len() {
            let (report, result) = data_sets.load(index, &env);
            reports.push(report);
            result?;
        }
        data_sets.commit_all(&env, &mut reports[compared..])
    }
}

//! The direction into SQLite. No target file is replaced before all new files are complete.

use crate::control::deadline::Deadline;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::plan_options::OnMisfit;
use crate::options::run_options::{Depth, Verify};
use crate::report::{DataSetPlan, DataSetReport, TimeLimit, Verdict};
use crate::run::data_set::to_sqlite::SqliteLoad;
use crate::run::direction::Direction;
use crate::run::env::RunEnv;
use crate::run::open::open_source;
use crate::run::open::to_sqlite::open;
use crate::run::service_check::CheckTime;
use crate::sqlite::source::backup;
use crate::sqlite::source::open::Source;
use std::path::{Path, PathBuf};

/// The data sets of a run into SQLite.
pub(crate) struct ToSqlite {
    loads: Vec<SqliteLoad>,
    /// The depth of a run that only compares.
    only_compare: Option<Depth>,
    /// Replaced files are kept.
    keeps: bool,
}

impl ToSqlite {
    /// Connects to the sources, takes their snapshots, inspects the targets, and plans. Errors: the
    /// run cannot be planned. Nothing was written.
    pub(crate) fn plan(env: &RunEnv<'_>) -> Result<Self> {
        if let OnMisfit::Reject { .. } = env.options.plan.on_misfit {
            return Err(Error::usage("--on-misfit reject needs a PostgreSQL target")
                .hint("use --on-misfit widen, which keeps such values as text"));
        }
        let only_compare = match env.options.verify {
            Verify::Only(depth) => Some(depth),
            _ => None,
        };
        let loads = env.options.data_sets.iter().map(|data_set| {
            open(data_set, env).map_err(|error| env.options.in_data_set(&data_set.name, error))
        });
        let keeps = !env.options.no_keep;
        Ok(Self { loads: loads.collect::<Result<_>>()?, only_compare, keeps })
    }
}

impl Direction for ToSqlite {
    fn names(&self) -> (String, String) {
        let sources = self.loads.iter().map(|load| load.connection.display());
        let mut sources: Vec<String> = sources.collect();
        sources.dedup();
        let targets: Vec<String> = self.loads.iter().map(SqliteLoad::target_name).collect();
        (sources.join(", "), targets.join(", "))
    }

    fn summary(&self) -> Vec<DataSetPlan> {
        let summary = |load: &SqliteLoad| {
            let mut summary = load.plan.summary();
            summary.notes.extend(match self.only_compare {
                Some(_) => Some("the two sides are only compared; nothing is written".to_owned()),
                None => load.target.note_on_keeping(self.keeps),
            });
            summary
        };
        self.loads.iter().map(summary).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.loads.iter().filter_map(|load| load.plan.warning_if_empty()).collect()
    }

    fn check_service(&mut self, env: &RunEnv<'_>, time: CheckTime) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for load in &mut self.loads {
            warnings.extend(load.check_service(env.options, time)?);
        }
        Ok(warnings)
    }

    /// There is no estimate, as an interrupted run cannot be resumed.
    fn limit(&mut self, deadline: &Deadline, _: &RunEnv<'_>) -> Result<TimeLimit> {
        Ok(TimeLimit { deadline: deadline.to_string(), estimate: None })
    }

    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()> {
        let Some(depth) = self.only_compare else { return Ok(()) };
        for load in &mut self.loads {
            let (file, mut report) = (load.target.path.clone(), load.plan.report());
            let compared = load.compare(&file, depth, env, &mut report);
            reports.push(report);
            compared?;
        }
        Ok(())
    }

    fn pending_rows(&self) -> Vec<u64> {
        let loads = if self.only_compare.is_some() { &[] } else { self.loads.as_slice() };
        loads.iter().map(|load| load.plan.rows()).collect()
    }

    /// Backs up the files that will be replaced.
    fn back_up(&self, folder: &Path, env: &RunEnv<'_>) -> Result<Vec<PathBuf>> {
        let loads = self.loads.iter().filter(|load| load.target.is_occupied());
        let old = loads.map(|load| open_source(&load.target.path, env.options));
        let old = old.collect::<Result<Vec<Source>>>()?;
        let copies = backup::back_up(&old.iter().collect::<Vec<_>>(), folder)?;
        old.into_iter().try_for_each(|source| source.close().map(drop))?;
        Ok(copies)
    }

    fn load(&mut self, index: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>) {
        let load = &mut self.loads[index];
        let mut report = load.plan.report();
        let result = load.load(env, &mut report).and_then(|()| load.verify(env, &mut report));
        (report, result)
    }

    fn commit_all(&mut self, env: &RunEnv<'_>, reports: &mut [DataSetReport]) -> Result<()> {
        env.control.cancel.check()?;
        if reports.iter().any(|report| report.verdict == Verdict::Differ) {
            return Ok(());
        }
        for (load, report) in self.loads.iter_mut().zip(reports) {
            load.publish(env.options, report)?;
        }
        Ok(())
    }

    fn map_stop_error(&mut self, canceller: &StatementCanceller, error: Error) -> Error {
        canceller.map_error(error)
    }
}

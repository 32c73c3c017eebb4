//! The direction into PostgreSQL.

use crate::config::connection::Connection;
use crate::control::deadline::Deadline;
use crate::control::progress::Phase;
use crate::control::statement_cancel::StatementCanceller;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result, plural};
use crate::options::plan_options::OnMisfit;
use crate::plan::strict;
use crate::plan::to_postgres::reject::{self, RejectFile};
use crate::report::{DataSetPlan, DataSetReport, Estimate, TimeLimit, Verdict};
use crate::run::data_set::compare_only::Comparison;
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::direction::Direction;
use crate::run::env::RunEnv;
use crate::run::estimate;
use crate::run::name_conflicts::refuse_name_conflicts;
use crate::run::open::to_postgres::{DataSetOpener, OpenDataSet};
use crate::run::pause::{self, LoadedRows};
use crate::run::resume::{Action, choose_actions};
use crate::run::service_check::CheckTime;
use crate::schema::ObjectKind;
use crate::schema::dropped::Dropped;
use crate::schema::names::quote;
use crate::sqlite::source::backup;
use crate::sqlite::source::open::Source;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The data sets of a run into PostgreSQL.
pub(crate) struct ToPostgres {
    loads: Vec<PostgresLoad>,
    comparisons: Vec<Comparison>,
    /// The file that receives the rows that the target cannot hold.
    reject_file: Option<PathBuf>,
}

impl ToPostgres {
    /// Opens and locks the sources, connects to the targets, profiles, and plans. Errors: the run
    /// cannot be planned. Nothing was written.
    pub(crate) fn plan(env: &RunEnv<'_>) -> Result<Self> {
        let options = env.options;
        let mut opener = DataSetOpener::new(*env);
        let opened = options.data_sets.iter().map(|data_set| opener.open(data_set));
        let mut opened: Vec<OpenDataSet> = opened.collect::<Result<_>>()?;
        let actions = choose_actions(options, &mut opened)?;
        if !actions.iter().any(|action| matches!(action, Action::Resume(_))) {
            reject::refuse_existing(&options.plan)?;
        }
        let (mut loads, mut comparisons) = (Vec::new(), Vec::new());
        for (opened, action) in opened.into_iter().zip(actions) {
            let data_set = opened.data_set.clone();
            let named = |error| options.in_data_set(&data_set, error);
            match action {
                Action::Compare(depth) => {
                    let comparison = Comparison::prepare(opened, depth, options);
                    comparisons.push(comparison.map_err(named)?);
                }
                Action::Copy(drop) => {
                    loads.push(PostgresLoad::plan(opened, &drop, env).map_err(named)?);
                }
                Action::Resume(run) => loads.push(PostgresLoad::resume(opened, *run)?),
            }
        }
        refuse_name_conflicts(loads.iter().map(|load| (load.schema_id.as_str(), &load.plan)))?;
        let reject_file = match &options.plan.on_misfit {
            OnMisfit::Reject { file } => Some(file.clone()),
            _ => None,
        };
        Ok(Self { loads, comparisons, reject_file })
    }

    fn drop_objects(&mut self, env: &RunEnv<'_>) -> Result<()> {
        let mut emptied = HashSet::new();
        for index in 0..self.loads.len() {
            let created = created_in(&self.loads, &self.loads[index].schema_id);
            let load = &mut self.loads[index];
            if !load.plan.objects.drop_all || emptied.insert(load.schema_id.clone()) {
                load.drop_existing(env, &created)?;
            }
        }
        Ok(())
    }

    /// The plan of one data set. A dropped table is not lost if another data set creates it again
    /// in the same schema.
    fn summary_of(&self, load: &PostgresLoad) -> DataSetPlan {
        let mut summary = load.summary();
        let same_schema = self.loads.iter().filter(|other| other.schema_id == load.schema_id);
        let tables = same_schema.flat_map(|other| &other.plan.tables);
        let created: HashMap<&str, u64> =
            tables.map(|table| (table.ddl.name.as_str(), table.rows)).collect();
        let is_table = |dropped: &&mut Dropped| dropped.kind == ObjectKind::Table.as_str();
        for dropped in summary.drops.iter_mut().filter(is_table) {
            dropped.source_rows = created.get(dropped.name.as_str()).copied();
            dropped.comes_back = dropped.source_rows.is_some();
        }
        summary
    }
}

impl Direction for ToPostgres {
    fn names(&self) -> (String, String) {
        let sources = self.loads.iter().map(|load| &load.source);
        let sources = sources.chain(self.comparisons.iter().map(|one| &one.opened.source));
        let sources: Vec<String> =
            sources.map(|source| source.path().display().to_string()).collect();
        let targets = self.loads.iter().map(|load| load.lock.connection());
        let targets =
            targets.chain(self.comparisons.iter().map(|one| one.opened.lock.connection()));
        let mut targets: Vec<String> = targets.map(Connection::display).collect();
        targets.dedup();
        (sources.join(", "), targets.join(", "))
    }

    fn summary(&self) -> Vec<DataSetPlan> {
        let loads = self.loads.iter().map(|load| self.summary_of(load));
        self.comparisons.iter().map(Comparison::summary).chain(loads).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let left_out = self.loads.iter().flat_map(|load| &load.plan.left_out);
        let rejected = self.loads.iter().flat_map(|load| &load.plan.tables).filter_map(|table| {
            let rows = Some(table.rows_rejected()).filter(|rows| *rows > 0)?;
            let (rows, name) = (plural(rows, "row", "rows"), quote(&table.name));
            Some(format!("not migrated: {rows} of table {name}"))
        });
        let lost = left_out.filter_map(|left| {
            let rows = left.rows.filter(|rows| *rows > 0)?;
            let (kind, name) = (left.kind.as_str(), quote(&left.name));
            let rows = plural(rows, "row is", "rows are");
            Some(format!("{kind} {name} is not migrated: {rows} lost"))
        });
        let empty = self.loads.iter().filter_map(|load| load.plan.warning_if_empty());
        empty.chain(lost).chain(rejected).collect()
    }

    fn check_service(&mut self, env: &RunEnv<'_>, time: CheckTime) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for load in &mut self.loads {
            warnings.extend(load.check_service(env, time)?);
        }
        for comparison in &mut self.comparisons {
            warnings.extend(comparison.check_service(env.options, time)?);
        }
        Ok(warnings)
    }

    fn limit(&mut self, deadline: &Deadline, env: &RunEnv<'_>) -> Result<TimeLimit> {
        env.control.progress.phase(Phase::Plan).set_step("estimating the time");
        let estimates = self.loads.iter_mut().map(|load| load.measure(env));
        let estimates: Vec<Estimate> = estimates.collect::<Result<_>>()?;
        estimate::check_limit(estimates.into_iter(), deadline, env.options.allow_late)
    }

    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()> {
        for comparison in &mut self.comparisons {
            reports.push(comparison.run(env)?);
        }
        Ok(())
    }

    fn pending_rows(&self) -> Vec<u64> {
        self.loads.iter().map(|load| load.plan.rows()).collect()
    }

    fn back_up(&self, folder: &Path, _: &RunEnv<'_>) -> Result<Vec<PathBuf>> {
        backup::back_up(&self.loads.iter().map(|load| &load.source).collect::<Vec<_>>(), folder)
    }

    fn drop_existing(&mut self, env: &RunEnv<'_>) -> Result<()> {
        env.canceller.begin_writing();
        let Some(path) = self.reject_file.clone() else { return self.drop_objects(env) };
        let is_new = path.symlink_metadata().is_err();
        let several = env.options.data_sets.len() > 1;
        let written = write_rejected(&path, &self.loads, several);
        written.and_then(|()| self.drop_objects(env)).inspect_err(|_| {
            // No row was copied without these rows yet: the next run writes the file itself.
            if is_new {
                let _ = fs::remove_file(&path);
            }
        })
    }

    fn load(&mut self, index: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>) {
        let load = &mut self.loads[index];
        let stats = Arc::new(CopyStats::new(load.plan.tables.len()));
        if let Some(deadline) = env.options.deadline.clone() {
            let estimate = load.estimate.filter(|_| !env.options.allow_late);
            let stats = Arc::clone(&stats);
            env.canceller.cancel_when(move || estimate::is_over(&deadline, estimate, &stats));
        }
        let (mut report, loaded) = match load.begin(env).and_then(|()| load.load(env, &stats)) {
            Ok(finished) => {
                let enforced = strict::enforce_finished(&env.options.plan, &finished.left_out);
                (load.report(&stats, finished), enforced)
            }
            Err(error) => (load.report(&stats, Default::default()), Err(error)),
        };
        let result = loaded.and_then(|()| load.verify(env, &mut report));
        (report, result)
    }

    fn commit_all(&mut self, env: &RunEnv<'_>, reports: &mut [DataSetReport]) -> Result<()> {
        for (load, report) in self.loads.iter_mut().zip(reports) {
            if report.verdict == Verdict::Match {
                load.drop_ledger(env, report)?;
            }
        }
        Ok(())
    }

    fn map_stop_error(&mut self, canceller: &StatementCanceller, error: Error) -> Error {
        if !pause::caused_by_stop(canceller.scope(), &error) {
            return error;
        }
        let late = canceller.is_late();
        if !canceller.is_writing() {
            return pause::before_writing(late);
        }
        canceller.disarm();
        let loaded = self.loads.iter_mut().map(PostgresLoad::loaded_rows);
        match loaded.collect::<Result<Vec<LoadedRows>>>() {
            Ok(loaded) => pause::while_writing(late, &loaded),
            Err(error) => error.context("the run was stopped, but the copied rows are unknown"),
        }
    }

    fn close(self: Box<Self>) -> Vec<String> {
        let sources = self.loads.into_iter().map(|load| load.source);
        let sources = sources.chain(self.comparisons.into_iter().map(|one| one.opened.source));
        let warning = |source: Source| match source.close() {
            Ok(changed) => changed,
            Err(error) => Some(error.to_string()),
        };
        sources.filter_map(warning).collect()
    }
}

/// The names of the tables and views that `loads` create in one schema.
fn created_in(loads: &[PostgresLoad], schema_id: &str) -> HashSet<String> {
    let same_schema = loads.iter().filter(|load| load.schema_id == schema_id);
    same_schema.flat_map(|load| load.plan.created_names().map(str::to_owned)).collect()
}

/// Writes the skipped rows to the reject file, before anything else is written. `several` data sets may
/// have tables of one name.
fn write_rejected(path: &Path, loads: &[PostgresLoad], several: bool) -> Result<()> {
    let is_resumed = loads.iter().any(PostgresLoad::is_resumed);
    let file = if is_resumed { RejectFile::open(path)? } else { RejectFile::create(path)? };
    for load in loads {
        let prefix = if several { format!("{}.", load.plan.data_set) } else { String::new() };
        let source = load.source.connect()?;
        reject::add_rows(&file, &load.plan, &prefix, &source, load.is_resumed())?;
    }
    file.finish()
}

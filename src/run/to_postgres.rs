//! The data sets of a run into PostgreSQL: those that are loaded, and those that are only compared.

use crate::config::connection::Connection;
use crate::control::deadline::Deadline;
use crate::control::statement_cancel::StatementCanceller;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result};
use crate::options::{Depth, OnMisfit};
use crate::plan::to_postgres::reject;
use crate::plan::to_postgres::reject::RejectFile;
use crate::report::{DataSetPlan, DataSetReport, TimeLimit, Verdict};
use crate::run::Direction;
use crate::run::data_set::compare_only::Comparison;
use crate::run::data_set::to_postgres::{PostgresLoad, RunEnv};
use crate::run::estimate;
use crate::run::name_conflicts::refuse_shared_names;
use crate::run::open::{DataSetOpener, OpenDataSet};
use crate::run::pause;
use crate::run::pause::LoadedRows;
use crate::run::resume::{Action, ways};
use crate::run::service_check::CheckTime;
use crate::schema::ObjectKind;
use crate::schema::names::quote;
use crate::sqlite::source::backup;
use crate::sqlite::source::open::Source;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct IntoPostgres {
    sets: Vec<PostgresLoad>,
    /// What is only compared.
    comparisons: Vec<(Comparison, Depth)>,
    /// Where rows go that the target cannot hold.
    reject_file: Option<PathBuf>,
}

impl IntoPostgres {
    /// Opens and fences the sources, connects to the targets, profiles, and plans.
    ///
    /// # Errors
    /// Whatever keeps the run from being planned; nothing has been written then.
    pub(crate) fn plan(env: &RunEnv<'_>, warnings: &mut Vec<String>) -> Result<Self> {
        let options = env.options;
        let mut opener = DataSetOpener::new(options, env.canceller, &env.control.stall);
        let opened = options.data_sets.iter().map(|data_set| opener.open(data_set));
        let mut opened: Vec<OpenDataSet> = opened.collect::<Result<_>>()?;
        let (ways, told) = ways(options, &mut opened)?;
        warnings.extend(told);
        let continues = ways.iter().any(|way| matches!(way, Action::Continue(_)));
        if !continues {
            reject::refuse_existing(options)?;
        }
        let (mut sets, mut comparisons) = (Vec::new(), Vec::new());
        for (opened, way) in opened.into_iter().zip(ways) {
            match way {
                Action::Compare(depth) => {
                    comparisons.push((Comparison::prepare(opened, depth, options)?, depth));
                }
                Action::Copy(drop) => sets.push(PostgresLoad::plan(opened, &drop, env)?),
                Action::Continue(unfinished) => {
                    sets.push(PostgresLoad::go_on(opened, *unfinished)?)
                }
            }
        }
        refuse_shared_names(sets.iter().map(|set| (set.place.as_str(), &set.plan)))?;
        let reject_file = match &options.on_misfit {
            OnMisfit::Reject { file } => Some(file.clone()),
            _ => None,
        };
        Ok(Self { sets, comparisons, reject_file })
    }

    /// What a data set's plan says. What another data set makes again in the same schema is not
    /// lost.
    fn summary_of(&self, set: &PostgresLoad) -> DataSetPlan {
        let mut summary = set.summary();
        let others = self.sets.iter().filter(|other| other.place == set.place);
        let tables = others.flat_map(|other| &other.plan.tables);
        let made: HashSet<&str> = tables.map(|table| table.ddl.name.as_str()).collect();
        for dropped in &mut summary.drops {
            dropped.comes_back |= made.contains(dropped.name.as_str());
        }
        summary
    }
}

impl Direction for IntoPostgres {
    fn names(&self) -> (String, String) {
        let sources = self.sets.iter().map(|set| &set.source);
        let sources = sources.chain(self.comparisons.iter().map(|(one, _)| &one.source));
        let sources: Vec<String> =
            sources.map(|source| source.path().display().to_string()).collect();
        let targets = self.sets.iter().map(|set| set.claim.connection());
        let targets = targets.chain(self.comparisons.iter().map(|(one, _)| one.claim.connection()));
        let mut targets: Vec<String> = targets.map(Connection::display).collect();
        targets.dedup();
        (sources.join(", "), targets.join(", "))
    }

    fn summary(&self) -> Vec<DataSetPlan> {
        let sets = self.sets.iter().map(|set| self.summary_of(set));
        self.comparisons.iter().map(|(one, _)| one.summary()).chain(sets).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let left_out = self.sets.iter().flat_map(|set| &set.plan.left_out);
        let rejected = self.sets.iter().flat_map(|set| &set.plan.tables).filter_map(|table| {
            let rows = Some(table.rows_rejected()).filter(|rows| *rows > 0)?;
            Some(format!("{rows} rows of table {} are left out", quote(&table.name)))
        });
        left_out
            .filter(|left| left.kind != ObjectKind::Table || left.rows.is_some())
            .filter_map(|left| {
                let rows = left.rows.filter(|rows| *rows > 0)?;
                let (word, name) = (left.kind.as_str(), quote(&left.name));
                Some(format!("{word} {name} holds {rows} rows that do not arrive"))
            })
            .chain(rejected)
            .collect()
    }

    fn look(&mut self, env: &RunEnv<'_>, moment: CheckTime) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for set in &mut self.sets {
            warnings.extend(set.look(env, moment)?);
        }
        for (one, _) in &mut self.comparisons {
            warnings.extend(one.look(env.options, moment)?);
        }
        Ok(warnings)
    }

    fn limit(&mut self, deadline: &Deadline, env: &RunEnv<'_>) -> Result<TimeLimit> {
        estimate::of_all(&mut self.sets, deadline, env)
    }

    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()> {
        for (one, depth) in &mut self.comparisons {
            reports.push(one.run(*depth, env)?);
        }
        Ok(())
    }

    fn pending_count(&self) -> usize {
        self.sets.len()
    }

    fn rows(&self) -> u64 {
        self.sets.iter().map(|set| set.plan.rows()).sum()
    }

    fn back_up(&self, folder: &Path, _: &RunEnv<'_>) -> Result<Vec<PathBuf>> {
        backup::back_up(&self.sets.iter().map(|set| &set.source).collect::<Vec<_>>(), folder)
    }

    fn drop_existing(&mut self, env: &RunEnv<'_>) -> Result<()> {
        env.canceller.begin_writing();
        if let Some(path) = &self.reject_file {
            write_rejected(path, &self.sets)?;
        }
        let mut emptied = HashSet::new();
        for set in &mut self.sets {
            if !set.plan.objects.drop_all || emptied.insert(set.place.clone()) {
                set.drop_old(env)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, place: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>) {
        let set = &mut self.sets[place];
        let stats = Arc::new(CopyStats::new(set.plan.tables.len()));
        if let Some(watch) = estimate::Watch::over(set, env.options) {
            let stats = Arc::clone(&stats);
            env.canceller.cancel_when(move || watch.is_over(&stats));
        }
        let done = set.begin(env).and_then(|()| set.load(env, &stats));
        match done {
            Ok(finished) => (set.report(&stats, finished), Ok(())),
            Err(error) => (set.report(&stats, Default::default()), Err(error)),
        }
    }

    fn verify(
        &mut self,
        place: usize,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        self.sets[place].verify(depth, env, report)
    }

    fn commit_all(&mut self, env: &RunEnv<'_>, reports: &mut [DataSetReport]) -> Result<()> {
        for (set, report) in self.sets.iter_mut().zip(reports) {
            if report.verdict == Verdict::Match {
                set.drop_ledger(env)?;
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
        match self.sets.iter_mut().map(PostgresLoad::there).collect::<Result<Vec<LoadedRows>>>() {
            Ok(there) => pause::while_writing(late, &there),
            Err(error) => {
                error.context("the run was stopped, and cannot tell what is in the target")
            }
        }
    }

    fn close(self: Box<Self>) -> Vec<String> {
        let sources = self.sets.into_iter().map(|set| set.source);
        let sources = sources.chain(self.comparisons.into_iter().map(|(one, _)| one.source));
        let told = |source: Source| match source.close() {
            Ok(changed) => changed,
            Err(error) => Some(error.to_string()),
        };
        sources.filter_map(told).collect()
    }
}

/// Writes the rows that are left out to the reject file, before anything else is written.
fn write_rejected(path: &Path, sets: &[PostgresLoad]) -> Result<()> {
    let is_continued = sets.iter().any(PostgresLoad::is_continued);
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

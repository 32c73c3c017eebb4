//! The data sets of a run into SQLite. Nothing takes the place of anything before all of them are
//! good.

use crate::control::deadline::Deadline;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::{Depth, OnMisfit, Verify};
use crate::report::{DataSetPlan, DataSetReport, TimeLimit, Verdict};
use crate::run::Direction;
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::data_set::to_sqlite::SqliteLoad;
use crate::run::open::open_source;
use crate::run::open::to_sqlite::open;
use crate::run::service_check::CheckTime;
use crate::sqlite::source::backup;
use crate::sqlite::source::open::Source;
use std::path::{Path, PathBuf};

pub(crate) struct IntoSqlite {
    sets: Vec<SqliteLoad>,
    /// They are only compared.
    only_compared: Option<Depth>,
}

impl IntoSqlite {
    /// Connects to the sources, holds them still, looks at the targets, and plans.
    ///
    /// # Errors
    /// Whatever keeps the run from being planned; nothing has been written then.
    pub(crate) fn plan(env: &RunEnv<'_>) -> Result<Self> {
        if let OnMisfit::Reject { .. } = env.options.on_misfit {
            return Err(Error::usage("--on-misfit reject is for the way into PostgreSQL")
                .hint("--on-misfit widen keeps such values as text"));
        }
        let only_compared = match env.options.verify {
            Verify::Only(depth) => Some(depth),
            _ => None,
        };
        let sets = env.options.data_sets.iter().map(|data_set| open(data_set, env));
        Ok(Self { sets: sets.collect::<Result<_>>()?, only_compared })
    }
}

impl Direction for IntoSqlite {
    fn names(&self) -> (String, String) {
        let sources = self.sets.iter().map(|set| set.connection.display());
        let mut sources: Vec<String> = sources.collect();
        sources.dedup();
        let targets: Vec<String> = self.sets.iter().map(SqliteLoad::target).collect();
        (sources.join(", "), targets.join(", "))
    }

    fn summary(&self) -> Vec<DataSetPlan> {
        let summary = |set: &SqliteLoad| {
            let mut summary = set.plan.summary();
            if self.only_compared.is_some() {
                let note = "nothing is written: the two sides are only compared";
                summary.notes.push(note.to_owned());
            }
            summary
        };
        self.sets.iter().map(summary).collect()
    }

    /// Everything that does not arrive is listed in the plan; none of it is rows.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn look(&mut self, env: &RunEnv<'_>, moment: CheckTime) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for set in &mut self.sets {
            warnings.extend(set.look(env.options, moment)?);
        }
        Ok(warnings)
    }

    /// Nothing is measured, as nothing could be continued later.
    fn limit(&mut self, deadline: &Deadline, _: &RunEnv<'_>) -> Result<TimeLimit> {
        Ok(TimeLimit { deadline: deadline.to_string(), estimate: None })
    }

    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()> {
        let Some(depth) = self.only_compared else { return Ok(()) };
        for set in &mut self.sets {
            let (file, mut report) = (set.place.path.clone(), set.plan.report());
            let compared = set.compare(&file, depth, env, &mut report);
            reports.push(report);
            compared?;
        }
        Ok(())
    }

    fn pending_count(&self) -> usize {
        if self.only_compared.is_some() { 0 } else { self.sets.len() }
    }

    fn rows(&self) -> u64 {
        self.sets.iter().map(|set| set.plan.rows()).sum()
    }

    /// Backs up the files that are to be replaced.
    fn back_up(&self, folder: &Path, env: &RunEnv<'_>) -> Result<Vec<PathBuf>> {
        let files = self.sets.iter().filter(|set| set.place.is_occupied());
        let old = files.map(|set| open_source(&set.place.path, env.options));
        let old = old.collect::<Result<Vec<Source>>>()?;
        let made = backup::back_up(&old.iter().collect::<Vec<_>>(), folder)?;
        old.into_iter().try_for_each(|source| source.close().map(drop))?;
        Ok(made)
    }

    /// Old files stay where they are until new ones take their places.
    fn drop_existing(&mut self, _: &RunEnv<'_>) -> Result<()> {
        Ok(())
    }

    fn load(&mut self, place: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>) {
        let set = &mut self.sets[place];
        let mut report = set.plan.report();
        let filled = set.load(env, &mut report);
        (report, filled)
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
        env.control.cancel.check()?;
        if reports.iter().any(|report| report.verdict == Verdict::Differ) {
            return Ok(());
        }
        for (set, report) in self.sets.iter_mut().zip(reports) {
            set.publish(env.options, report)?;
        }
        Ok(())
    }

    fn map_stop_error(&mut self, canceller: &StatementCanceller, error: Error) -> Error {
        canceller.map_error(error)
    }

    fn close(self: Box<Self>) -> Vec<String> {
        Vec::new()
    }
}

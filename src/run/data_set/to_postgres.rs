//! The load of one data set into PostgreSQL, from the creation of its tables to the verdict. Each
//! step is recorded in the ledger, so that an interrupted run can be resumed.

use crate::control::progress::Phase;
use crate::copy::stats::CopyStats;
use crate::copy::to_postgres::Ends;
use crate::error::{Error, Result};
use crate::finish::finished::Finished;
use crate::options::run_options::{Depth, Verify};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::build::{build_plan, pending_notes};
use crate::plan::to_postgres::inputs::{DropScope, PlanInputs};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::attached::store;
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::copy_in::{BlockWriter, CopyTarget};
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger::Ledger;
use crate::postgres::ledger::detail::{LedgerDetail, State};
use crate::report::{Continued, DataSetPlan, DataSetReport, Estimate};
use crate::run::data_set::sides::Sides;
use crate::run::env::RunEnv;
use crate::run::estimate::sample;
use crate::run::open::to_postgres::OpenDataSet;
use crate::run::pause::{self, LoadedRows};
use crate::run::resume::ResumableRun;
use crate::run::service_check::{self, CheckTime};
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::source::open::Source;
use crate::verify::compared_table::ComparedTable;
use crate::verify::schema_check::planned;
use crate::verify::verdict::VerdictReport;
use crate::{copy, finish};
use jiff::Timestamp;
use postgres::Client;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The maximum of copy rounds. A further round is needed if committed chunks are missing.
const MAX_ROUNDS: usize = 5;

/// One data set, opened and planned.
pub(crate) struct PostgresLoad {
    /// The source, locked against writers.
    pub(crate) source: Source,
    /// The identity of the target schema, which is independent of the connection string.
    pub(crate) schema_id: String,
    pub(crate) plan: Plan<ToPostgres>,
    pub(crate) lock: Arc<RunLock>,
    /// The run that is resumed, if there is one.
    resumed: Option<Continued>,
    /// The estimate, if there is a deadline.
    pub(crate) estimate: Option<Estimate>,
    /// The control session, which writes the ledger.
    pub(crate) control: Reconnecting<'static, Client>,
    /// The data set's row of the ledger, without the current state.
    pub(crate) detail: LedgerDetail,
}

impl PostgresLoad {
    /// Profiles the source and plans. Nothing is written yet.
    pub(crate) fn plan(
        mut opened: OpenDataSet,
        drop: &DropScope,
        env: &RunEnv<'_>,
    ) -> Result<Self> {
        let names: Vec<&str> = env.options.data_sets.iter().map(|set| set.name.as_str()).collect();
        let inputs = PlanInputs {
            data_set: &opened.data_set,
            source: &opened.source,
            schema: &opened.schema,
            options: &env.options.plan,
            resources: env.resources,
            control: env.control,
            drop,
            data_sets: &names,
        };
        let mut plan = build_plan(&inputs, &mut opened.control).map_err(Error::before_writing)?;
        plan.notes.extend(opened.source.notes().iter().cloned());
        let detail = LedgerDetail {
            begun: Timestamp::now().strftime("%F %TZ").to_string(),
            options: env.options.plan.to_ledger(),
            ..LedgerDetail::default()
        };
        Self::new(opened, plan, detail)
    }

    /// Continues with the plan of an interrupted run.
    pub(crate) fn resume(mut opened: OpenDataSet, run: ResumableRun) -> Result<Self> {
        let ResumableRun { mut plan, detail } = run;
        let ledger = Ledger::new(&plan.target_schema, &plan.data_set);
        let pending = store::pending(&mut opened.control, &ledger)?;
        plan.notes.extend(pending_notes(&plan, &pending));
        let copied = ledger.chunks(&mut opened.control)?;
        let resumed = Continued {
            begun: detail.begun.clone(),
            chunks_there: copied.values().map(|chunks| chunks.len() as u64).sum(),
            chunks: plan.tables.iter().map(|table| table.read.chunks.len() as u64).sum(),
        };
        Ok(Self { resumed: Some(resumed), ..Self::new(opened, plan, detail)? })
    }

    fn new(opened: OpenDataSet, plan: Plan<ToPostgres>, detail: LedgerDetail) -> Result<Self> {
        let OpenDataSet { source, lock, mut control, backend, .. } = opened;
        let schema_id = schema_id(&mut control, &plan.target_schema)?;
        let lock = Arc::new(lock);
        let lock_of_session = Arc::clone(&lock);
        let open = move |lost| {
            let session = lock_of_session.session("control", lost)?;
            Ok((session.client, session.backend))
        };
        let in_flight = lock.in_flight();
        let control = Reconnecting::with_session((control, backend), in_flight, Box::new(open));
        let (resumed, estimate) = (None, None);
        Ok(Self { source, schema_id, plan, lock, resumed, estimate, control, detail })
    }

    pub(crate) fn summary(&self) -> DataSetPlan {
        DataSetPlan { continues: self.resumed.clone(), ..self.plan.summary() }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed.is_some()
    }

    /// Checks that the service does not use the databases. Returns warnings.
    pub(crate) fn check_service(
        &mut self,
        env: &RunEnv<'_>,
        time: CheckTime,
    ) -> Result<Vec<String>> {
        let (file, user) = (self.source.path(), self.lock.connection().user.as_str());
        let retry_policy = env.retry_policy(env.control.progress.current());
        self.control.run(&retry_policy, |client| {
            service_check::check(&env.options.service_check, time, Some(file), Some((client, user)))
        })
    }

    /// Copies and finishes. Errors: the source cannot be read, or the target cannot be written.
    pub(crate) fn load(&mut self, env: &RunEnv<'_>, stats: &CopyStats) -> Result<Finished> {
        env.control.progress.enter(Phase::Copy);
        self.copy(env, stats)?;
        self.set_state(env, State::Finishing)?;
        env.control.progress.enter(Phase::Finish);
        let (workers, retry_for) = (env.resources.writers, env.options.retry_for);
        let (plan, lock) = (&self.plan, &self.lock);
        let finished = finish::to_postgres::run(
            plan,
            lock,
            workers,
            &env.control.progress,
            retry_for,
            &env.control.cancel,
        )?;
        // An error means that the readers may have seen more than one state. A change that they
        // could not see is reported when the source is closed.
        self.source.changed()?;
        self.note_outcome(&finished);
        self.set_state(env, State::NotVerified)?;
        Ok(finished)
    }

    /// Copies until the ledger, read after a durable commit, has every chunk. Errors: the source
    /// cannot be read, or the target cannot be written.
    pub(crate) fn copy(&mut self, env: &RunEnv<'_>, stats: &CopyStats) -> Result<()> {
        let ledger = self.ledger();
        let counters = env.control.progress.phase(Phase::Copy);
        counters.set_tables(copy::to_postgres::table_progress(&self.plan));
        let copy_target = |table: &PlannedTable<ToPostgres>| CopyTarget {
            table: table.name.clone(),
            copy: table.ddl.copy(&table.read.sent),
        };
        let targets: Arc<[CopyTarget]> = self.plan.tables.iter().map(copy_target).collect();
        for round in 0..MAX_ROUNDS {
            let retry_policy = env.retry_policy(Phase::Copy);
            let done = self.control.run(&retry_policy, |client| ledger.chunks(client))?;
            copy::to_postgres::count_committed(&self.plan, &done, stats, counters, round == 0);
            if self.plan.tables.iter().all(|table| is_complete(table, done.get(&table.name))) {
                stats.end_copy();
                return Ok(());
            }
            let (source, lock) = (&self.source, &self.lock);
            let cancel = env.control.cancel.draining_child();
            let writer = |lost| {
                let session = lock.session("copy", lost)?;
                let targets = Arc::clone(&targets);
                let writer = BlockWriter::new(session.client, &ledger, lock.run(), targets)?;
                Ok((writer, session.backend))
            };
            let ends = Ends {
                reader: &|queries| Ok(ChunkReader::new(source.connect_to_pages()?, queries)),
                writer: &writer,
                in_flight: lock.in_flight(),
            };
            let settings = env.copy_settings(env.resources, &cancel);
            copy::to_postgres::run(&self.plan, &done, &ends, stats, &settings)?;
            cancel.end()?;
            // This commit waits until it and all commits before it are on disk.
            self.set_state(env, State::Copying)?;
        }
        Err(Error::failed("the target loses committed rows")
            .hint("check the server's log; --restart drops the half-loaded tables"))
    }

    /// Compares the target with the source if the user wants it, and records the verdict. Errors:
    /// either side cannot be read. A difference is not an error.
    pub(crate) fn verify(&mut self, env: &RunEnv<'_>, report: &mut DataSetReport) -> Result<()> {
        let Verify::AfterCopy(depth) = env.options.verify else {
            return self.end(env, State::NotVerified, report);
        };
        env.control.progress.enter(Phase::Verify);
        self.check_service(env, CheckTime::DuringRun)?;
        let tables: Vec<ComparedTable> =
            self.plan.tables.iter().map(ComparedTable::from_plan).collect();
        let plan = &self.plan;
        let sides = Sides {
            source: &self.source,
            lock: &self.lock,
            schema: &plan.target_schema,
            data_set: Some(&plan.data_set),
        };
        let expected = planned::for_postgres(plan, &report.left_out);
        let (schema_diff, compared) = sides.compare(&tables, &expected, depth, env)?;
        let verdict = VerdictReport::new(&tables, &compared, schema_diff.differences, depth);
        self.check_service(env, CheckTime::DuringRun)?;
        let differs = verdict.differs;
        self.detail.tables = verdict.digests();
        self.detail.depth = Some(if depth == Depth::Full { "full" } else { "rows" }.to_owned());
        verdict.apply_to(report, true);
        if differs {
            let unchanged = "the source is unchanged, and the service may be started on it again";
            report.hints.push(unchanged.to_owned());
        }
        self.end(env, if differs { State::Differs } else { State::Verified }, report)
    }

    /// The rows in the target, for a run that pauses.
    pub(crate) fn loaded_rows(&mut self) -> Result<LoadedRows> {
        let (ledger, plan) = (self.ledger(), &self.plan);
        // The session may have been lost before. A run that ends does not wait for another one.
        self.control.try_twice(|client| pause::loaded_rows(client, &ledger, plan))
    }

    /// Estimates the time of the rest of the load by a sample on the target.
    pub(crate) fn measure(&mut self, env: &RunEnv<'_>) -> Result<Estimate> {
        let (ledger, plan, source) = (self.ledger(), &self.plan, &self.source);
        let is_resumed = self.resumed.is_some();
        let estimate = self.control.run(&env.retry_policy(Phase::Plan), |client| {
            let done = if is_resumed { ledger.chunks(client)? } else { HashMap::new() };
            sample::measure(plan, &done, source, client, env)
        })?;
        self.estimate = Some(estimate);
        Ok(estimate)
    }

    /// Removes the ledger if `--drop-ledger` was given.
    pub(crate) fn drop_ledger(
        &mut self,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        if !env.options.drop_ledger {
            return Ok(());
        }
        let ledger = self.ledger();
        let retry_policy = env.retry_policy(Phase::Verify);
        report.notes.extend(self.control.run(&retry_policy, |client| ledger.remove(client))?);
        Ok(())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(&self.plan.target_schema, &self.plan.data_set)
    }

    /// The report before the comparison.
    pub(crate) fn report(&self, stats: &CopyStats, finished: Finished) -> DataSetReport {
        let mut report = self.plan.report();
        for (table, stats) in report.tables.iter_mut().zip(stats.tables()) {
            table.rows = stats.rows.load(Ordering::Relaxed);
            table.bytes = stats.bytes.load(Ordering::Relaxed);
            table.seconds = stats.seconds();
        }
        report.continues = self.resumed.clone();
        // The plan has counted orphans in the source; those of the target count.
        report.left_out.retain(|left| !finished.left_out.iter().any(|other| other.is_same(left)));
        report.left_out.extend(finished.left_out);
        report.steps = finished.steps;
        report
    }
}

/// Whether the ledger has every chunk of the table with all rows.
fn is_complete(table: &PlannedTable<ToPostgres>, done: Option<&HashMap<u32, u64>>) -> bool {
    let rows: u64 = done.map_or(0, |done| done.values().sum());
    let chunks = done.map_or(0, HashMap::len);
    chunks == table.read.chunks.len() && rows + table.rows_rejected() == table.rows
}

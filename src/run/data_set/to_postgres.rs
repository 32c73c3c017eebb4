//! The load of one data set into PostgreSQL, from the creation of its tables to the verdict. Each
//! step is recorded in the ledger, so that an interrupted run can be resumed.

use crate::control::cancel::CancelScope;
use crate::control::progress::Phase;
use crate::control::retry::{Reconnecting, RetryPolicy};
use crate::copy;
use crate::copy::to_postgres::{Ends, ReconnectingWriter, TableStats};
use crate::error::{Error, Result};
use crate::finish;
use crate::finish::to_postgres::Finished;
use crate::options::run_options::Depth;
use crate::plan::to_postgres::build::{DropScope, PlanInputs, build_plan};
use crate::plan::{Plan, PlannedTable};
use crate::postgres::catalog::target_objects::{drop_things, schema_id};
use crate::postgres::copy_in::Writer;
use crate::postgres::copy_in::{BlockWriter, CopyTarget};
use crate::postgres::errors::db_error;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger;
use crate::postgres::ledger::Ledger;
use crate::postgres::ledger::detail::{LedgerDetail, State};
use crate::report::{Continued, DataSetPlan, DataSetReport, Estimate, TableReport, Verdict};
use crate::run::env::RunEnv;
use crate::run::estimate::sample;
use crate::run::open::to_postgres::OpenDataSet;
use crate::run::pause;
use crate::run::pause::LoadedRows;
use crate::run::resume::ResumableRun;
use crate::run::service_check;
use crate::run::service_check::CheckTime;
use crate::schema::names::qualify;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::source::open::Source;
use crate::verify;
use crate::verify::schema_check;
use crate::verify::table_pair::ComparedTable;
use crate::verify::verdict::VerdictReport;
use crate::verify::{Settings, under_snapshot};
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
    /// The plan.
    pub(crate) plan: Plan,
    /// The lock of the target schema.
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
            progress: env.progress,
            drop,
            data_sets: &names,
            stop: env.canceller.stop(),
        };
        let mut plan = build_plan(&inputs, &mut opened.control)?;
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
        let ResumableRun { plan, detail } = run;
        let ledger = Ledger::new(&plan.schema, &plan.data_set);
        let copied = ledger.chunks(&mut opened.control)?;
        let resumed = Continued {
            begun: detail.begun.clone(),
            chunks_there: copied.values().map(|chunks| chunks.len() as u64).sum(),
            chunks: plan.tables.iter().map(|table| table.chunks.len() as u64).sum(),
        };
        Ok(Self { resumed: Some(resumed), ..Self::new(opened, plan, detail)? })
    }

    fn new(opened: OpenDataSet, plan: Plan, detail: LedgerDetail) -> Result<Self> {
        let OpenDataSet { source, lock, mut control, backend, .. } = opened;
        let schema_id = schema_id(&mut control, &plan.schema)?;
        let lock = Arc::new(lock);
        let lock_of_session = Arc::clone(&lock);
        let open = move |lost| {
            let session = lock_of_session.session("control", lost)?;
            Ok((session.client, session.backend))
        };
        let control = Reconnecting::over((control, backend), Box::new(open));
        Ok(Self { source, schema_id, plan, lock, resumed: None, estimate: None, control, detail })
    }

    /// The plan as the report shows it.
    pub(crate) fn summary(&self) -> DataSetPlan {
        DataSetPlan { continues: self.resumed.clone(), ..self.plan.summary() }
    }

    /// Whether an interrupted run is resumed.
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
        let retry_policy = env.retry_policy(env.progress.current());
        self.control.run(&retry_policy, |client| {
            service_check::check(&env.options.service_check, time, Some(file), Some((client, user)))
        })
    }

    /// Drops the existing objects that the plan replaces.
    pub(crate) fn drop_existing(&mut self, env: &RunEnv<'_>) -> Result<()> {
        let plan = &self.plan;
        if plan.drops.is_empty() && !plan.drop_all {
            return Ok(());
        }
        let what = "cannot drop the existing objects of the target";
        self.control.run(&env.retry_policy(Phase::Copy), |client| {
            let mut transaction = client.transaction().map_err(db_error(what))?;
            drop_things(&mut transaction, &plan.schema, &plan.drops, plan.drop_all)?;
            transaction.commit().map_err(db_error(what))
        })
    }

    /// Copies and finishes.
    ///
    /// # Errors
    /// The source cannot be read, or the target cannot be written.
    pub(crate) fn load(&mut self, env: &RunEnv<'_>, stats: &[TableStats]) -> Result<Finished> {
        env.progress.enter(Phase::Copy);
        self.copy(env, stats)?;
        self.set_state(env, State::Finishing)?;
        env.progress.enter(Phase::Finish);
        let (workers, retry_for) = (env.resources.writers, env.options.retry_for);
        let (plan, lock) = (&self.plan, &self.lock);
        let finished = finish::to_postgres::run(
            plan,
            lock,
            workers,
            env.progress,
            retry_for,
            env.canceller.stop(),
        )?;
        // An error means that the readers may have seen more than one state. A change that they
        // could not see is reported when the source is closed.
        self.source.changed()?;
        self.note_outcome(&finished);
        self.set_state(env, State::NotVerified)?;
        Ok(finished)
    }

    /// Copies until the ledger, read after a durable commit, has every chunk.
    ///
    /// # Errors
    /// The source cannot be read, or the target cannot be written.
    pub(crate) fn copy(&mut self, env: &RunEnv<'_>, stats: &[TableStats]) -> Result<()> {
        let ledger = self.ledger();
        let counters = env.progress.phase(Phase::Copy);
        counters.set_tables(copy::to_postgres::table_progress(&self.plan));
        let copy_target = |table: &PlannedTable| CopyTarget {
            table: table.name.clone(),
            copy: table.ddl.copy(&table.sent),
        };
        let targets: Arc<[CopyTarget]> = self.plan.tables.iter().map(copy_target).collect();
        for round in 0..MAX_ROUNDS {
            let retry_policy = env.retry_policy(Phase::Copy);
            let done = self.control.run(&retry_policy, |client| ledger.chunks(client))?;
            copy::to_postgres::count(&self.plan, &done, stats, counters, round == 0);
            if self.plan.tables.iter().all(|table| is_complete(table, done.get(&table.name))) {
                return Ok(());
            }
            let (source, lock) = (&self.source, &self.lock);
            let cancel = CancelScope::new_draining(env.canceller.stop());
            let is_halted = || cancel.is_stopping();
            let writer = || -> Result<Box<dyn Writer + '_>> {
                let open = |lost| {
                    let session = lock.session("copy", lost)?;
                    let targets = Arc::clone(&targets);
                    let writer = BlockWriter::new(session.client, &ledger, lock.run(), targets)?;
                    Ok((writer, session.backend))
                };
                let retry_policy = RetryPolicy { is_halted: &is_halted, ..retry_policy };
                Ok(Box::new(ReconnectingWriter {
                    line: Reconnecting::new(Box::new(open)),
                    retry_policy,
                }))
            };
            let ends = Ends {
                reader: &|queries| Ok(ChunkReader::new(source.connect_to_pages()?, queries)),
                writer: &writer,
            };
            copy::to_postgres::run(
                &self.plan,
                &done,
                &ends,
                env.resources,
                counters,
                stats,
                &cancel,
            )?;
            cancel.end()?;
            // This commit waits until it and all commits before it are on disk.
            self.set_state(env, State::Copying)?;
        }
        Err(Error::failed("the target loses committed rows")
            .hint("check the server's log; --restart drops the half-loaded tables"))
    }

    /// Compares the target with the source, and records the verdict.
    ///
    /// # Errors
    /// Either side cannot be read. A difference is not an error.
    pub(crate) fn verify(
        &mut self,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        env.progress.enter(Phase::Verify);
        self.check_service(env, CheckTime::DuringRun)?;
        let subjects: Vec<ComparedTable> =
            self.plan.tables.iter().map(ComparedTable::of_plan).collect();
        let names: Vec<String> = subjects.iter().map(|subject| subject.target.clone()).collect();
        let retry_policy = env.retry_policy(Phase::Verify);
        let settings = Settings {
            depth,
            options: env.options,
            resources: env.resources,
            progress: env.progress.phase(Phase::Verify),
            stop: env.canceller.stop(),
            ledger: Some((qualify(&self.plan.schema, ledger::TABLE), self.plan.data_set.clone())),
        };
        let (source, lock, plan) = (&self.source, &self.lock, &self.plan);
        let ends = verify::Ends {
            source: &|| source.connect(),
            target: &|lost| verify::Ends::session(lock, lost),
        };
        let (differences, compared) = under_snapshot(lock, &names, &retry_policy, |snapshot| {
            let differences = schema_check::of_plan(snapshot.client(), plan, &report.left_out)?;
            Ok((differences, verify::compare(&subjects, snapshot, &ends, &settings)?))
        })?;
        let verdict = VerdictReport::new(&subjects, &compared, differences, depth);
        self.check_service(env, CheckTime::DuringRun)?;
        verdict.apply_to(report);
        if verdict.differs {
            let unchanged = "the source is unchanged, and the service may be started on it again";
            report.hints.push(unchanged.to_owned());
        }
        self.detail.tables = verdict.digests(&subjects);
        self.detail.depth = Some(if depth == Depth::Full { "full" } else { "rows" }.to_owned());
        self.set_state(env, if verdict.differs { State::Differs } else { State::Verified })
    }

    /// The rows in the target, for a run that pauses.
    pub(crate) fn loaded_rows(&mut self) -> Result<LoadedRows> {
        let (ledger, plan) = (self.ledger(), &self.plan);
        let mut count = || self.control.once(|client| pause::loaded_rows(client, &ledger, plan));
        // The session may have been lost before. One new session is tried.
        count().or_else(|error| if error.is_retryable() { count() } else { Err(error) })
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
    pub(crate) fn drop_ledger(&mut self, env: &RunEnv<'_>) -> Result<()> {
        if !env.options.drop_ledger {
            return Ok(());
        }
        let ledger = self.ledger();
        self.control.run(&env.retry_policy(Phase::Verify), |client| ledger.remove(client))
    }

    /// The ledger of the data set.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(&self.plan.schema, &self.plan.data_set)
    }

    /// The report before the comparison.
    pub(crate) fn report(&self, stats: &[TableStats], finished: Finished) -> DataSetReport {
        let tables = self.plan.tables.iter().zip(stats).map(|(table, stats)| TableReport {
            name: table.name.clone(),
            target_name: table.renamed(),
            rows: stats.rows.load(Ordering::Relaxed),
            bytes: stats.bytes.load(Ordering::Relaxed),
            seconds: stats.seconds(),
            conversions: table.conversions(),
            rows_left_out: table.rows_left_out(),
            verification: None,
        });
        let mut left_out = self.plan.left_out.clone();
        left_out.extend(finished.left_out);
        DataSetReport {
            name: self.plan.data_set.clone(),
            target_schema: self.plan.schema.clone(),
            continues: self.resumed.clone(),
            verdict: Verdict::NotVerified,
            tables: tables.collect(),
            left_out,
            steps: finished.steps,
            notes: self.plan.notes.iter().cloned().chain(self.plan.widened()).collect(),
            differences: Vec::new(),
            hints: Vec::new(),
        }
    }
}

/// Whether the ledger has every chunk of the table with all rows.
fn is_complete(table: &PlannedTable, done: Option<&HashMap<u32, u64>>) -> bool {
    let rows: u64 = done.map_or(0, |done| done.values().sum());
    let chunks = done.map_or(0, HashMap::len);
    chunks == table.chunks.len() && rows + table.rows_rejected() == table.rows
}

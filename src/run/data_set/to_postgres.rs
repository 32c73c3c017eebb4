//! A loading: the work on one data set, from its tables' creation to its verdict. Each step writes
//! the ledger, so that a later run can go on where this one was cut off.

use crate::control::cancel::CancelScope;
use crate::control::progress::Phase;
use crate::control::retry::RetryPolicy;
use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::copy;
use crate::copy::settings::CopySettings;
use crate::copy::stats::CopyStats;
use crate::copy::to_postgres::Ends;
use crate::error::{Error, Result};
use crate::finish;
use crate::finish::finished::Finished;
use crate::options::{Depth, Options};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::build::build_plan;
use crate::plan::to_postgres::inputs::{DropScope, PlanInputs};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects::{drop_objects, schema_id};
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::copy_in::{BlockWriter, CopyTarget};
use crate::postgres::errors::db_error;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger;
use crate::postgres::ledger::{Ledger, State};
use crate::report::{Continued, DataSetPlan, DataSetReport};
use crate::run::estimate::{Estimate, sample};
use crate::run::open::OpenDataSet;
use crate::run::pause;
use crate::run::pause::LoadedRows;
use crate::run::resume::{BEGUN, OPTIONS, ResumableRun};
use crate::run::service_check::CheckTime;
use crate::schema::names::qualify;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::source::open::Source;
use crate::verify::compare::{compare, under_snapshot};
use crate::verify::compared_table::ComparedTable;
use crate::verify::roles::SourceSide;
use crate::verify::schema_check::diff::check_postgres;
use crate::verify::schema_check::planned;
use crate::verify::settings::{Readers, VerifySettings};
use crate::verify::verdict::VerdictReport;
use jiff::Timestamp;
use postgres::Client;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often the copy phase may start over because committed chunks turned out to be missing.
const MAX_ROUNDS: usize = 5;

/// What all data sets of a run go by.
#[derive(Clone, Copy)]
pub(crate) struct RunEnv<'a> {
    /// What was asked for.
    pub(crate) options: &'a Options,
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    /// The controls of the run.
    pub(crate) control: &'a RunControl,
    /// Cancels statements when the run is stopped.
    pub(crate) canceller: &'a StatementCanceller,
}

impl<'a> RunEnv<'a> {
    /// The settings of the copy, which `cancel` ends.
    pub(crate) fn copy_settings(
        &self,
        resources: &'a Resources,
        cancel: &'a CancelScope,
    ) -> CopySettings<'a> {
        CopySettings {
            resources,
            max_rate: self.options.max_rate,
            retry_for: self.options.retry_for,
            progress: self.control.progress.phase(Phase::Copy),
            cancel,
        }
    }

    /// How long a connection is tried for in `phase`.
    pub(crate) fn retry_policy(&self, phase: Phase) -> RetryPolicy<'a> {
        let RunControl { cancel, progress, .. } = self.control;
        RetryPolicy { limit: self.options.retry_for, cancel, progress: progress.phase(phase) }
    }
}

/// One data set, opened, fenced and planned.
pub(crate) struct PostgresLoad {
    /// The fenced source.
    pub(crate) source: Source,
    /// What tells the target schema from any other, whatever the connection string is.
    pub(crate) place: String,
    /// What is to be done.
    pub(crate) plan: Plan<ToPostgres>,
    /// The right to do it.
    pub(crate) claim: Arc<RunLock>,
    /// The run that is continued, if one is.
    continued: Option<Continued>,
    /// What it will take, where there is a deadline.
    pub(crate) estimate: Option<Estimate>,
    /// The session that writes the ledger.
    pub(crate) keeper: Reconnecting<'static, Client>,
    /// What the ledger keeps beside the state, as it becomes known.
    pub(crate) known: Map<String, Value>,
}

impl PostgresLoad {
    /// Profiles the source and plans; nothing is written yet.
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
            options: env.options,
            resources: env.resources,
            progress: &env.control.progress,
            drop,
            data_sets: &names,
            cancel: &env.control.cancel,
        };
        let mut plan = build_plan(&inputs, &mut opened.keeper)?;
        plan.notes.extend(opened.source.notes().iter().cloned());
        let mut known = Map::new();
        known.insert(BEGUN.to_owned(), json!(Timestamp::now().strftime("%F %TZ").to_string()));
        known.insert(OPTIONS.to_owned(), json!(env.options.plan_options()));
        Self::new(opened, plan, known)
    }

    /// Takes up the plan of a run that was cut off.
    pub(crate) fn go_on(mut opened: OpenDataSet, unfinished: ResumableRun) -> Result<Self> {
        let ResumableRun { plan, known } = unfinished;
        let ledger = Ledger::new(&plan.target_schema, &plan.data_set);
        let there = ledger.chunks(&mut opened.keeper)?;
        let continued = Continued {
            begun: known[BEGUN].as_str().unwrap_or_default().to_owned(),
            chunks_there: there.values().map(|chunks| chunks.len() as u64).sum(),
            chunks: plan.tables.iter().map(|table| table.read.chunks.len() as u64).sum(),
        };
        Ok(Self { continued: Some(continued), ..Self::new(opened, plan, known)? })
    }

    fn new(opened: OpenDataSet, plan: Plan<ToPostgres>, known: Map<String, Value>) -> Result<Self> {
        let OpenDataSet { source, claim, mut keeper, backend, .. } = opened;
        let place = schema_id(&mut keeper, &plan.target_schema)?;
        let claim = Arc::new(claim);
        let keeps = Arc::clone(&claim);
        let open = move |lost| {
            let session = keeps.session("control", lost)?;
            Ok((session.client, session.backend))
        };
        let in_flight = claim.in_flight();
        let keeper = Reconnecting::with_session((keeper, backend), in_flight, Box::new(open));
        Ok(Self { source, place, plan, claim, continued: None, estimate: None, keeper, known })
    }

    /// What will be done.
    pub(crate) fn summary(&self) -> DataSetPlan {
        DataSetPlan { continues: self.continued.clone(), ..self.plan.summary() }
    }

    /// An earlier run's work is continued.
    pub(crate) fn is_continued(&self) -> bool {
        self.continued.is_some()
    }

    /// Asks the guard.
    pub(crate) fn look(&mut self, env: &RunEnv<'_>, moment: CheckTime) -> Result<Vec<String>> {
        let service_check = &env.options.service_check;
        let (file, user) = (self.source.path(), self.claim.connection().user.as_str());
        let retry_policy = env.retry_policy(env.control.progress.current());
        self.keeper.run(&retry_policy, |client| {
            service_check.look(moment, Some(file), Some((client, user)))
        })
    }

    /// Drops what is dropped first.
    pub(crate) fn drop_old(&mut self, env: &RunEnv<'_>) -> Result<()> {
        let plan = &self.plan;
        if plan.objects.dropped.is_empty() && !plan.objects.drop_all {
            return Ok(());
        }
        let what = "cannot drop what is in the target";
        self.keeper.run(&env.retry_policy(Phase::Copy), |client| {
            let mut transaction = client.transaction().map_err(db_error(what))?;
            drop_objects(
                &mut transaction,
                &plan.target_schema,
                &plan.objects.dropped,
                plan.objects.drop_all,
            )?;
            transaction.commit().map_err(db_error(what))
        })
    }

    /// Copies and finishes.
    ///
    /// # Errors
    /// The source cannot be read or the target not be written.
    pub(crate) fn load(&mut self, env: &RunEnv<'_>, stats: &CopyStats) -> Result<Finished> {
        env.control.progress.enter(Phase::Copy);
        self.copy(env, stats)?;
        self.set_state(env, State::Finishing)?;
        env.control.progress.enter(Phase::Finish);
        let (workers, retry_for) = (env.resources.writers, env.options.retry_for);
        let (plan, claim) = (&self.plan, &self.claim);
        let finished = finish::to_postgres::run(
            plan,
            claim,
            workers,
            &env.control.progress,
            retry_for,
            &env.control.cancel,
        )?;
        // An error here means that the readers may have seen more than one state. A change that
        // they could not see is told when the source is closed.
        self.source.changed()?;
        self.learn(&finished);
        self.set_state(env, State::NotVerified)?;
        Ok(finished)
    }

    /// Copies until the ledger, read after a durable commit, holds every chunk.
    ///
    /// # Errors
    /// The source cannot be read or the target not be written.
    pub(crate) fn copy(&mut self, env: &RunEnv<'_>, stats: &CopyStats) -> Result<()> {
        let ledger = self.ledger();
        let counters = env.control.progress.phase(Phase::Copy);
        counters.set_tables(copy::to_postgres::table_progress(&self.plan));
        let of_table = |table: &PlannedTable<ToPostgres>| CopyTarget {
            table: table.name.clone(),
            copy: table.ddl.copy(&table.read.sent),
        };
        let targets: Arc<[CopyTarget]> = self.plan.tables.iter().map(of_table).collect();
        for round in 0..MAX_ROUNDS {
            let retry_policy = env.retry_policy(Phase::Copy);
            let done = self.keeper.run(&retry_policy, |client| ledger.chunks(client))?;
            copy::to_postgres::count_committed(&self.plan, &done, stats, counters, round == 0);
            if self.plan.tables.iter().all(|table| is_complete(table, done.get(&table.name))) {
                stats.end_copy();
                return Ok(());
            }
            let (source, claim) = (&self.source, &self.claim);
            let cancel = env.control.cancel.draining_child();
            let writer = |lost| {
                let session = claim.session("copy", lost)?;
                let targets = Arc::clone(&targets);
                let writer = BlockWriter::new(session.client, &ledger, claim.run(), targets)?;
                Ok((writer, session.backend))
            };
            let ends = Ends {
                reader: &|queries| Ok(ChunkReader::new(source.connect_to_pages()?, queries)),
                writer: &writer,
                in_flight: claim.in_flight(),
            };
            let settings = env.copy_settings(env.resources, &cancel);
            copy::to_postgres::run(&self.plan, &done, &ends, stats, &settings)?;
            cancel.end()?;
            // This commit is waited for until it is on the disk, and with it all before it.
            self.set_state(env, State::Copying)?;
        }
        Err(Error::failed("the target loses what it has committed")
            .hint("look at the server's log; --restart throws the half-loaded target away"))
    }

    /// Compares the target with the source, and records the verdict.
    ///
    /// # Errors
    /// Either side cannot be read. That they differ is no error.
    pub(crate) fn verify(
        &mut self,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        env.control.progress.enter(Phase::Verify);
        self.look(env, CheckTime::DuringRun)?;
        let tables: Vec<ComparedTable> =
            self.plan.tables.iter().map(ComparedTable::from_plan).collect();
        let names: Vec<String> = tables.iter().map(|table| table.postgres.clone()).collect();
        let retry_policy = env.retry_policy(Phase::Verify);
        let settings = VerifySettings {
            depth,
            source: SourceSide::Sqlite,
            options: env.options,
            resources: env.resources,
            progress: env.control.progress.phase(Phase::Verify),
            cancel: &env.control.cancel,
            ledger: Some((
                qualify(&self.plan.target_schema, ledger::TABLE),
                self.plan.data_set.clone(),
            )),
        };
        let (source, claim, plan) = (&self.source, &self.claim, &self.plan);
        let readers = Readers {
            sqlite: &|| source.connect(),
            postgres: &|lost| Readers::session(claim, lost),
            in_flight: claim.in_flight(),
        };
        let expected = planned::for_postgres(plan, &report.left_out);
        let (schema_diff, compared) = under_snapshot(claim, &names, &retry_policy, |snapshot| {
            let schema_diff = check_postgres(snapshot.client(), &plan.target_schema, &expected)?;
            Ok((schema_diff, compare(&tables, snapshot, &readers, &settings)?))
        })?;
        let verdict = VerdictReport::new(&tables, &compared, schema_diff.differences, depth);
        self.look(env, CheckTime::DuringRun)?;
        let (differs, digests) = (verdict.differs, verdict.digests());
        verdict.apply_to(report, true);
        if differs {
            let whole = "the source is unchanged, and the service may be started on it again";
            report.hints.push(whole.to_owned());
        }
        self.known.insert("tables".to_owned(), digests);
        self.known
            .insert("depth".to_owned(), json!(if depth == Depth::Full { "full" } else { "rows" }));
        self.set_state(env, if differs { State::Differs } else { State::Verified })
    }

    /// What is there, for a run that pauses.
    pub(crate) fn there(&mut self) -> Result<LoadedRows> {
        let (ledger, plan) = (self.ledger(), &self.plan);
        // The session may have been lost before. A run that ends does not wait for another one.
        self.keeper.try_twice(|client| pause::there(client, &ledger, plan))
    }

    /// Measures what the rest of the loading will take, on the target as it will be.
    pub(crate) fn measure(&mut self, env: &RunEnv<'_>) -> Result<Estimate> {
        let (ledger, plan, source) = (self.ledger(), &self.plan, &self.source);
        let is_continued = self.continued.is_some();
        let estimate = self.keeper.run(&env.retry_policy(Phase::Plan), |client| {
            let done = if is_continued { ledger.chunks(client)? } else { HashMap::new() };
            sample::measure(plan, &done, source, client, env)
        })?;
        self.estimate = Some(estimate);
        Ok(estimate)
    }

    /// Removes the ledger, if that was asked for.
    pub(crate) fn drop_ledger(&mut self, env: &RunEnv<'_>) -> Result<()> {
        if !env.options.drop_ledger {
            return Ok(());
        }
        let ledger = self.ledger();
        self.keeper.run(&env.retry_policy(Phase::Verify), |client| ledger.remove(client))
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(&self.plan.target_schema, &self.plan.data_set)
    }

    /// What was done, before the comparison.
    pub(crate) fn report(&self, stats: &CopyStats, finished: Finished) -> DataSetReport {
        let mut report = self.plan.report();
        for (table, stats) in report.tables.iter_mut().zip(stats.tables()) {
            table.rows = stats.rows.load(Ordering::Relaxed);
            table.bytes = stats.bytes.load(Ordering::Relaxed);
            table.seconds = stats.seconds();
        }
        report.continues = self.continued.clone();
        report.left_out.extend(finished.left_out);
        report.steps = finished.steps;
        report
    }
}

/// Every chunk of the table is in the ledger, with all its rows.
fn is_complete(table: &PlannedTable<ToPostgres>, done: Option<&HashMap<u32, u64>>) -> bool {
    let rows: u64 = done.map_or(0, |done| done.values().sum());
    let chunks = done.map_or(0, HashMap::len);
    chunks == table.read.chunks.len() && rows + table.rows_rejected() == table.rows
}

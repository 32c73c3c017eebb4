//! The load of one data set into a SQLite file, from the creation of its tables to the rename to the
//! final name.
//!
//! ```text
//!  PostgreSQL readers ──row batches, in order──> one writer ──> staged file ──> target
//!  (N connections,       bounded by the budget
//!   one snapshot)
//! ```
//!
//! The staged file is renamed only after it was finished, verified and synced. An interrupted load
//! cannot be resumed, because its snapshot is lost.

use crate::config::connection::Connection;
use crate::control::progress::{Phase, TableProgress};
use crate::control::sizing::Resources;
use crate::copy::to_sqlite as copy;
use crate::error::Result;
use crate::finish::to_sqlite as finish;
use crate::options::run_options::{Depth, RunOptions, Verify};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::strict;
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::catalog::target_objects::lasting_schema_id;
use crate::postgres::copy_out::Snapshot;
use crate::report::{DataSetReport, Verdict};
use crate::run::env::RunEnv;
use crate::run::open::source_sessions::{Locks, open_reader, open_session};
use crate::run::open::{cancel_reads, open_source};
use crate::run::service_check::{self, CheckTime};
use crate::schema::names::quote;
use crate::sqlite::write::bulk_insert::FileWriter;
use crate::sqlite::write::staged_file::StagedFile;
use crate::sqlite::write::target_file::TargetFile;
use crate::sqlite::write::verdict_file::{self, StoredVerdict};
use crate::verify::roles::SourceSide;
use crate::verify::to_sqlite as verify;
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// The divisor of the memory budget that gives the size of SQLite's page cache. The rows wait for
/// the writer, so that a larger budget for them gains nothing.
const CACHE_SHARE: u64 = 2;

/// One data set, opened under a snapshot and planned.
pub(crate) struct SqliteLoad {
    pub(crate) connection: Connection,
    pub(crate) snapshot: Snapshot,
    /// The source's schema.
    pub(crate) schema: String,
    pub(crate) plan: Plan<ToSqlite>,
    pub(crate) target: TargetFile,
    /// The locks that all sessions hold.
    pub(crate) locks: Locks,
    /// The new file, until it is renamed to the target's name.
    pub(crate) staged: Option<StagedFile>,
}

impl SqliteLoad {
    /// The displayed name of the target.
    pub(crate) fn target_name(&self) -> String {
        self.target.path.display().to_string()
    }

    /// Checks that the service does not use the databases. Returns warnings.
    pub(crate) fn check_service(
        &mut self,
        options: &RunOptions,
        time: CheckTime,
    ) -> Result<Vec<String>> {
        let file = self.target.is_occupied().then_some(self.target.path.as_path());
        let client = (self.snapshot.client(), self.connection.user.as_str());
        service_check::check(&options.service_check, time, file, Some(client))
    }

    /// Copies into a staged file, and finishes it. Errors: the source cannot be read, or the file
    /// cannot be written.
    pub(crate) fn load(&mut self, env: &RunEnv<'_>, report: &mut DataSetReport) -> Result<()> {
        let cancel = &env.control.cancel;
        env.control.progress.enter(Phase::Copy);
        let counters = env.control.progress.phase(Phase::Copy);
        counters.set_tables(self.plan.tables.iter().map(table_progress).collect());
        let staged = self.staged.insert(StagedFile::create(&self.target, !env.options.no_keep)?);
        let cache = env.resources.budget / CACHE_SHARE;
        let resources = Resources { budget: env.resources.budget - cache, ..*env.resources };
        let properties = self.plan.objects.file.statements(self.target.page_size);
        let writer = FileWriter::open(&staged.path(), &properties, cache)?;
        for table in &self.plan.tables {
            let what = format!("cannot create table {}", quote(&table.ddl.name));
            writer.run(&what, &table.ddl.create())?;
        }
        let import_snapshot = self.snapshot.import_sql();
        let (connection, locks) = (&self.connection, self.locks);
        let reader = || open_reader(connection, "copy", locks, &import_snapshot);
        let copied =
            copy::run(&self.plan, &writer, &reader, &env.copy_settings(&resources, cancel))?;
        for (table, copied) in report.tables.iter_mut().zip(copied) {
            (table.rows, table.bytes, table.seconds) = (copied.rows, copied.bytes, copied.seconds);
        }
        env.control.progress.enter(Phase::Finish);
        let counters = env.control.progress.phase(Phase::Finish);
        let finished =
            finish::run(&self.plan, writer, (&staged.path(), &resources, cache), counters, cancel)?;
        report.steps = finished.steps;
        report.left_out.extend(finished.left_out.iter().cloned());
        strict::enforce_finished(&env.options.plan, &finished.left_out)
    }

    /// Compares the staged file with the snapshot if the user wants it.
    pub(crate) fn verify(&mut self, env: &RunEnv<'_>, report: &mut DataSetReport) -> Result<()> {
        let (Some(staged), Verify::AfterCopy(depth)) = (&self.staged, env.options.verify) else {
            return Ok(());
        };
        self.compare(&staged.path(), depth, env, report)?;
        if report.verdict == Verdict::Differ {
            report.hints.push("the new file was removed; the target is unchanged".to_owned());
        }
        Ok(())
    }

    /// Compares a file with the snapshot, and reports the verdict. Errors: either side cannot be
    /// read. A difference is not an error.
    pub(crate) fn compare(
        &mut self,
        file: &Path,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        env.control.progress.enter(Phase::Verify);
        self.check_service(env.options, CheckTime::DuringRun)?;
        let source = open_source(file, env.options)?;
        cancel_reads(env.canceller, &source);
        let settings = env.verify_settings(depth, SourceSide::Postgres, None);
        let (connection, locks) = (&self.connection, self.locks);
        let reader = || open_session(connection, "verify", locks);
        let copied = !matches!(env.options.verify, Verify::Only(_));
        let (plan, snapshot) = (&self.plan, &mut self.snapshot);
        verify::run(plan, &source, snapshot, &reader, &settings, copied, report)?;
        source.close()?;
        self.check_service(env.options, CheckTime::DuringRun)?;
        Ok(())
    }

    /// Renames the staged file to the target's name, and writes a good verdict next to it.
    pub(crate) fn publish(
        &mut self,
        options: &RunOptions,
        report: &mut DataSetReport,
    ) -> Result<()> {
        if let Some(staged) = self.staged.take() {
            report.notes.extend(staged.publish()?);
        }
        // Only `migrate provider` reads the verdict file.
        if options.service_check.service.is_none() {
            return Ok(());
        }
        let file = &self.target.path;
        if report.verdict != Verdict::Match {
            return verdict_file::remove(file);
        }
        let source = lasting_schema_id(self.snapshot.client(), &self.schema)?;
        let (data_set, now) = (self.plan.data_set.clone(), verdict_file::fingerprint(file)?);
        verdict_file::write(file, &StoredVerdict { data_set, source, file: now })
    }
}

fn table_progress(table: &PlannedTable<ToSqlite>) -> TableProgress {
    TableProgress { name: table.name.clone(), total: table.rows, done: AtomicU64::new(0) }
}

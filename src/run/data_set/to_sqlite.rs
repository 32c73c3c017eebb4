//! A building: the work on one data set into a SQLite file, from its tables' creation to its place
//! under the final name.
//!
//! ```text
//!  PostgreSQL readers ──row batches, in order──> writer ──> partial file ──> target
//!  (N connections,       bounded by the budget   (SQLite
//!   one snapshot)                                 has one)
//! ```
//!
//! Nothing stands under the target's name before all of it was finished, verified and is on the
//! disk. There is no going on with one that was cut off: the snapshot that it read is gone.

use crate::config::connection::Connection;
use crate::control::progress::{Phase, TableProgress};
use crate::control::sizing::Resources;
use crate::copy::to_sqlite as copy;
use crate::error::Result;
use crate::finish::to_sqlite as finish;
use crate::options::{Depth, Options, Verify};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::catalog::target_objects::lasting_schema_id;
use crate::postgres::copy_out::Snapshot;
use crate::report::{DataSetReport, Verdict};
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::open::to_sqlite::{Locks, locked, open_reader};
use crate::run::open::{cancel_reads, open_source};
use crate::run::service_check::CheckTime;
use crate::schema::names::quote;
use crate::sqlite::write::bulk_insert::FileWriter;
use crate::sqlite::write::staged_file::{StagedFile, TargetFile};
use crate::sqlite::write::verdict_file;
use crate::sqlite::write::verdict_file::StoredVerdict;
use crate::verify::roles::SourceSide;
use crate::verify::settings::VerifySettings;
use crate::verify::to_sqlite as verify;
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// Of the memory for rows in flight, the part that SQLite's page cache takes instead: rows wait
/// for the writer, so that more of them in flight would gain nothing.
const CACHE_SHARE: u64 = 2;

/// One data set, opened, held still and planned.
pub(crate) struct SqliteLoad {
    /// How the source is reached.
    pub(crate) connection: Connection,
    /// The session that holds the source still.
    pub(crate) snapshot: Snapshot,
    /// The source's schema.
    pub(crate) schema: String,
    /// What is to be done.
    pub(crate) plan: Plan<ToSqlite>,
    /// The target.
    pub(crate) place: TargetFile,
    /// What all sessions hold.
    pub(crate) locks: Locks,
    /// The new file, until it takes its place.
    pub(crate) partial: Option<StagedFile>,
}

impl SqliteLoad {
    /// The target, for people.
    pub(crate) fn target(&self) -> String {
        self.place.path.display().to_string()
    }

    /// Asks the guard.
    pub(crate) fn look(&mut self, options: &Options, moment: CheckTime) -> Result<Vec<String>> {
        let file = self.place.is_occupied().then_some(self.place.path.as_path());
        let client = (self.snapshot.client(), self.connection.user.as_str());
        options.service_check.look(moment, file, Some(client))
    }

    /// Copies into a partial file, and finishes it.
    ///
    /// # Errors
    /// The source cannot be read or the file not be written.
    pub(crate) fn load(&mut self, env: &RunEnv<'_>, report: &mut DataSetReport) -> Result<()> {
        let cancel = &env.control.cancel;
        env.control.progress.enter(Phase::Copy);
        let counters = env.control.progress.phase(Phase::Copy);
        counters.set_tables(self.plan.tables.iter().map(table_progress).collect());
        let partial = self.partial.insert(StagedFile::create(&self.place)?);
        let cache = env.resources.budget / CACHE_SHARE;
        let resources = Resources { budget: env.resources.budget - cache, ..*env.resources };
        let writer = FileWriter::open(&partial.path(), self.place.page_size, cache)?;
        for table in &self.plan.tables {
            let what = format!("cannot create table {}", quote(&table.ddl.name));
            writer.run(&what, &table.ddl.create())?;
        }
        let join = self.snapshot.import_sql();
        let (connection, locks) = (&self.connection, self.locks);
        let reader = || open_reader(connection, "copy", locks, &join);
        let copied =
            copy::run(&self.plan, &writer, &reader, &env.copy_settings(&resources, cancel))?;
        for (table, copied) in report.tables.iter_mut().zip(copied) {
            (table.rows, table.bytes, table.seconds) = (copied.rows, copied.bytes, copied.seconds);
        }
        env.control.progress.enter(Phase::Finish);
        let counters = env.control.progress.phase(Phase::Finish);
        let finished = finish::run(
            &self.plan,
            writer,
            (&partial.path(), &resources, cache),
            counters,
            cancel,
        )?;
        report.steps = finished.steps;
        report.left_out.extend(finished.left_out);
        Ok(())
    }

    /// Compares the partial file with the snapshot, and tells the verdict.
    ///
    /// # Errors
    /// Either side cannot be read. That they differ is no error.
    pub(crate) fn verify(
        &mut self,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        let Some(partial) = &self.partial else { return Ok(()) };
        self.compare(&partial.path(), depth, env, report)?;
        if report.verdict == Verdict::Differ {
            report.hints.push(
                "the new file is removed, and nothing was put in the target's place".to_owned(),
            );
        }
        Ok(())
    }

    /// Compares a file with the snapshot, and tells the verdict.
    ///
    /// # Errors
    /// Either side cannot be read. That they differ is no error.
    pub(crate) fn compare(
        &mut self,
        file: &Path,
        depth: Depth,
        env: &RunEnv<'_>,
        report: &mut DataSetReport,
    ) -> Result<()> {
        env.control.progress.enter(Phase::Verify);
        self.look(env.options, CheckTime::DuringRun)?;
        let source = open_source(file, env.options)?;
        cancel_reads(env.canceller, &source);
        let settings = VerifySettings {
            depth,
            source: SourceSide::Postgres,
            options: env.options,
            resources: env.resources,
            progress: env.control.progress.phase(Phase::Verify),
            cancel: &env.control.cancel,
            ledger: None,
        };
        let (connection, locks) = (&self.connection, self.locks);
        let open_reader = || locked(connection, "verify", locks);
        let copied = !matches!(env.options.verify, Verify::Only(_));
        let (plan, snapshot) = (&self.plan, &mut self.snapshot);
        verify::run(plan, &source, snapshot, &open_reader, &settings, copied, report)?;
        source.close()?;
        self.look(env.options, CheckTime::DuringRun)?;
        Ok(())
    }

    /// Puts the new file in the target's place, and keeps a good verdict beside it.
    pub(crate) fn publish(&mut self, options: &Options, report: &mut DataSetReport) -> Result<()> {
        if let Some(partial) = self.partial.take() {
            report.notes.extend(partial.publish()?);
        }
        // Only the products' own command has a use for it: the switch of the provider.
        if options.service_check.service.is_none() {
            return Ok(());
        }
        let file = &self.place.path;
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

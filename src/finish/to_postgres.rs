//! The finish in PostgreSQL: indexes, keys, foreign keys, statistics, sequences and views.
//!
//! Several connections build the indexes of all tables at once, the largest table's first. A table's
//! keys become constraints after its last index. One connection adds all foreign keys without a
//! check of the rows; several connections check the rows afterwards, one child table at a time.
//! Circular foreign keys that are added from two sessions deadlock.
//!
//! Every step first checks whether it is already done. So a resumed run does only the rest, and a
//! step is repeated after a lost connection.

use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::control::progress::{Phase, PhaseProgress, Progress};
use crate::control::retry::RetryPolicy;
use crate::error::Result;
use crate::finish::finished::Finished;
use crate::plan::model::{OptionalDdl, Plan, PlannedTable};
use crate::plan::to_postgres::model::{PlannedForeignKey, PlannedKey, ToPostgres};
use crate::postgres::catalog::existing;
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::errors::{db_error, describe, is_connection_lost, is_refusal};
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::sql::ddl;
use crate::report::StepReport;
use crate::schema::LeftOut;
use crate::schema::names::{qualify, quote};
use crate::sqlite::read::profile::column::Tally;
use postgres::Client;
use postgres::error::SqlState;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The memory of one index build. The server's default of 64 MB was the fastest that was measured;
/// twice as much took longer.
const INDEX_MEMORY: &str = "64MB";

/// Runs the finish with `workers` sessions. Lost sessions are retried for `retry_for`.
pub(crate) fn run(
    plan: &Plan<ToPostgres>,
    lock: &RunLock,
    workers: usize,
    progress: &Progress,
    retry_for: Duration,
    cancel: &CancelScope,
) -> Result<Finished> {
    let progress = progress.phase(Phase::Finish);
    let finish = Finish { plan, progress, finished: Mutex::default(), retry_for, cancel };
    finish.progress.total.store(finish.steps(), Ordering::Relaxed);
    let worker = |_| {
        let open = Box::new(|lost| {
            let mut session = lock.session::<Client>("finish", lost)?;
            session
                .client
                .batch_execute(&format!("SET maintenance_work_mem = '{INDEX_MEMORY}'"))
                .map_err(db_error("cannot prepare a connection for the indexes"))?;
            Ok((session.client, session.backend))
        });
        Reconnecting::new(lock.in_flight(), open)
    };
    let mut clients: Vec<Reconnecting<'_, Client>> = (0..workers.max(1)).map(worker).collect();
    finish.indexes(&mut clients)?;
    let keys = plan.objects.foreign_keys.iter();
    finish.run_tasks(&mut clients[..1], keys, |client, key| finish.foreign_key(client, key))?;
    finish.analyze(&mut clients)?;
    finish.validate(&mut clients)?;
    let tables = plan.tables.iter();
    finish.run_tasks(&mut clients[..1], tables, |client, table| finish.sequence(client, table))?;
    let views = plan.objects.views.iter();
    finish.run_tasks(&mut clients[..1], views, |client, view| finish.view(client, view))?;
    Ok(finish.finished.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Finish<'a> {
    plan: &'a Plan<ToPostgres>,
    progress: &'a PhaseProgress,
    finished: Mutex<Finished>,
    retry_for: Duration,
    cancel: &'a CancelScope,
}

/// One task of the first stage, on one table.
enum Build<'a> {
    Key(&'a PlannedKey),
    Index(&'a OptionalDdl),
    /// The constraints, after the last index.
    Constraints,
}

impl<'a> Finish<'a> {
    fn steps(&self) -> u64 {
        let table_steps = |table: &PlannedTable<ToPostgres>| {
            let sequence = usize::from(table.finish.sequence.is_some());
            table.finish.keys.len() + table.indexes.len() + table.finish.checks.len() + 1 + sequence
        };
        let tables: usize = self.plan.tables.iter().map(table_steps).sum();
        (tables + 2 * self.plan.objects.foreign_keys.len() + self.plan.objects.views.len()) as u64
    }

    /// Runs one step, and reports it unless the connection was lost.
    fn step(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<(), postgres::Error>,
    ) -> Result<(), postgres::Error> {
        self.progress.set_step(what);
        let started = Instant::now();
        let result = work();
        if result.as_ref().is_err_and(is_connection_lost) {
            return result;
        }
        let seconds = started.elapsed().as_secs_f64();
        lock(&self.finished).steps.push(StepReport { what: what.to_owned(), seconds });
        self.progress.done.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Counts a step that is already done as done now. Returns `is_done`.
    fn skip_if(&self, is_done: bool) -> bool {
        self.progress.done.fetch_add(u64::from(is_done), Ordering::Relaxed);
        is_done
    }

    /// Runs one statement as a step. An object that the server refuses is reported as not migrated.
    fn optional(
        &self,
        client: &mut Client,
        what: &str,
        sql: &str,
        left_out: &LeftOut,
    ) -> Result<()> {
        if self.is_listed(left_out) {
            return Ok(());
        }
        match self.step(what, || client.batch_execute(sql)) {
            Ok(()) => Ok(()),
            Err(error) if is_refusal(&error) => {
                let reason = format!("the server refuses it: {}", describe(&error));
                lock(&self.finished).left_out.push(LeftOut { reason, ..left_out.clone() });
                Ok(())
            }
            Err(error) => Err(db_error(&format!("cannot build {what}"))(error)),
        }
    }

    /// Gives each task to the next free connection.
    fn run_tasks<T: Send>(
        &self,
        clients: &mut [Reconnecting<'_, Client>],
        tasks: impl IntoIterator<Item = T>,
        work: impl Fn(&mut Client, &T) -> Result<()> + Sync,
    ) -> Result<()> {
        let work = |client: &mut Client, task: &T| work(client, task).map(|()| None);
        self.run_chained_tasks(clients, tasks.into_iter().collect(), work)
    }

    /// Gives each task to the next free connection. Its result may be a task that follows it.
    fn run_chained_tasks<T: Send>(
        &self,
        clients: &mut [Reconnecting<'_, Client>],
        tasks: VecDeque<T>,
        work: impl Fn(&mut Client, &T) -> Result<Option<T>> + Sync,
    ) -> Result<()> {
        let cancel = self.cancel.child();
        let tasks = Mutex::new(tasks);
        let next = || lock(&tasks).pop_front();
        let run = |client: &mut Reconnecting<'_, Client>| -> Result<()> {
            let (limit, progress) = (self.retry_for, self.progress);
            let retry_policy = RetryPolicy { limit, cancel: &cancel, progress };
            let mut following = None;
            while !cancel.is_cancelled() {
                let Some(task) = following.take().or_else(next) else { break };
                following = client.run(&retry_policy, |client| work(client, &task))?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            for client in clients {
                let (cancel, run) = (&cancel, &run);
                scope.spawn(move || {
                    cancel.run_thread("a connection of the finish", || run(client));
                });
            }
        });
        cancel.end()
    }

    /// The tables by size, the largest first.
    fn by_size(&self) -> Vec<usize> {
        let mut tables: Vec<usize> = (0..self.plan.tables.len()).collect();
        tables.sort_by_key(|&table| std::cmp::Reverse(self.plan.tables[table].bytes));
        tables
    }

    fn indexes(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        let mut builds = VecDeque::new();
        let mut remaining = Vec::new();
        remaining.resize_with(self.plan.tables.len(), || AtomicUsize::new(0));
        for table in self.by_size() {
            let PlannedTable { finish, indexes, .. } = &self.plan.tables[table];
            builds.extend(finish.keys.iter().map(|key| (table, Build::Key(key))));
            builds.extend(indexes.iter().map(|index| (table, Build::Index(index))));
            remaining[table].store(finish.keys.len() + indexes.len(), Ordering::Relaxed);
        }
        let without_index =
            self.by_size().into_iter().filter(|&t| remaining[t].load(Ordering::Relaxed) == 0);
        builds.extend(without_index.map(|table| (table, Build::Constraints)));
        self.run_chained_tasks(clients, builds, |client, (index, build)| {
            let table = &self.plan.tables[*index];
            match build {
                Build::Key(key) if self.is_built(client, table, &key.name)? => {}
                Build::Key(key) => self
                    .step(&key.what, || client.batch_execute(&key.index))
                    .map_err(db_error(&format!("cannot build the {}", key.what)))?,
                Build::Index(index) if self.is_built(client, table, &index.name)? => {}
                Build::Index(index) => {
                    self.optional(client, &index.what, &index.statements(), &index.left_out)?;
                }
                Build::Constraints => return self.constraints(client, table).map(|()| None),
            }
            let is_last = remaining[*index].fetch_sub(1, Ordering::AcqRel) == 1;
            Ok(is_last.then_some((*index, Build::Constraints)))
        })
    }

    /// Whether an index exists. An invalid one, whose build was interrupted, is dropped.
    fn is_built(
        &self,
        client: &mut Client,
        table: &PlannedTable<ToPostgres>,
        name: &str,
    ) -> Result<bool> {
        let is_valid = existing::index(client, &table.ddl.qualified(), name)?;
        if is_valid == Some(false) {
            let name = qualify(&self.plan.target_schema, name);
            client
                .batch_execute(&format!("DROP INDEX IF EXISTS {name}"))
                .map_err(db_error("cannot drop an invalid index"))?;
        }
        Ok(self.skip_if(is_valid == Some(true)))
    }

    /// Adds a table's constraints after its last index, and enables autovacuum.
    fn constraints(&self, client: &mut Client, table: &PlannedTable<ToPostgres>) -> Result<()> {
        for key in &table.finish.keys {
            if let Some(constraint) = &key.constraint
                && existing::constraint(client, &table.ddl.qualified(), &key.name)?.is_none()
            {
                client
                    .batch_execute(constraint)
                    .map_err(db_error(&format!("cannot make the {}", key.what)))?;
            }
        }
        for check in &table.finish.checks {
            let existing = existing::constraint(client, &table.ddl.qualified(), &check.name)?;
            if !self.skip_if(existing.is_some()) {
                self.optional(client, &check.what, &check.statements(), &check.left_out)?;
            }
        }
        client
            .batch_execute(&ddl::enable_autovacuum(&table.ddl.qualified()))
            .map_err(db_error(&format!("cannot finish table {}", quote(&table.name))))
    }

    fn foreign_key(&self, client: &mut Client, key: &PlannedForeignKey) -> Result<()> {
        let existing = existing::constraint(client, &key.ddl.table, &key.ddl.name)?;
        if self.skip_if(existing.is_some()) {
            return Ok(());
        }
        let what = format!("foreign key {}", quote(&key.ddl.name));
        self.optional(client, &what, &key.ddl.add(), &key.left_out)
    }

    fn analyze(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        self.run_tasks(clients, self.by_size(), |client, &table| {
            let table = &self.plan.tables[table];
            let what = format!("statistics of {}", quote(&table.name));
            self.step(&what, || client.batch_execute(&format!("ANALYZE {}", table.ddl.qualified())))
                .map_err(db_error(&format!("cannot gather the {what}")))
        })
    }

    /// Checks the rows of each foreign key. A key with rows that have no parent stays NOT VALID, and
    /// is reported with their number.
    fn validate(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        self.run_tasks(clients, self.by_size(), |client, &child| {
            let keys = self.plan.objects.foreign_keys.iter().filter(|key| key.child == child);
            for key in keys.filter(|key| !self.is_listed(&key.left_out)) {
                let is_valid = existing::constraint(client, &key.ddl.table, &key.ddl.name)?;
                if self.skip_if(is_valid == Some(true)) {
                    continue;
                }
                let what = format!("validation of foreign key {}", quote(&key.ddl.name));
                let validated = self.step(&what, || client.batch_execute(&key.ddl.validate()));
                let Err(error) = validated else { continue };
                if error.code() != Some(&SqlState::FOREIGN_KEY_VIOLATION) {
                    return Err(db_error(&format!("cannot complete the {what}"))(error));
                }
                let listed = key.listed(&self.orphans(client, key)?);
                lock(&self.finished).left_out.push(listed);
            }
            Ok(())
        })
    }

    /// Whether an object is reported already because the server refused it.
    fn is_listed(&self, left_out: &LeftOut) -> bool {
        lock(&self.finished).left_out.iter().any(|left| left.is_same(left_out))
    }

    /// The rows without a parent in the target. Parents in the reject file are missing, too.
    fn orphans(&self, client: &mut Client, key: &PlannedForeignKey) -> Result<Tally> {
        let what = format!("cannot count the rows that break foreign key {}", quote(&key.ddl.name));
        let count: i64 =
            client.query_one(&key.ddl.count_orphans(), &[]).map_err(db_error(&what))?.get(0);
        let child = &self.plan.tables[key.child];
        let mut tally = Tally { count: count.unsigned_abs(), first_rows: Vec::new() };
        if let Some(column) = child.integer_key() {
            let rows =
                client.query(&key.ddl.first_orphans(column), &[]).map_err(db_error(&what))?;
            tally.first_rows = rows.iter().map(|row| row.get(0)).collect();
        }
        Ok(tally)
    }

    fn sequence(&self, client: &mut Client, table: &PlannedTable<ToPostgres>) -> Result<()> {
        let Some((sequence, highest)) = &table.finish.sequence else { return Ok(()) };
        let what = format!("sequence of {}", quote(&table.name));
        self.step(&what, || client.batch_execute(&ddl::set_sequence(sequence, *highest)))
            .map_err(db_error(&format!("cannot set the {what}")))
    }

    fn view(&self, client: &mut Client, view: &OptionalDdl) -> Result<()> {
        if self.skip_if(existing::view(client, &self.plan.target_schema, &view.name)?) {
            return Ok(());
        }
        self.optional(client, &view.what, &view.statements(), &view.left_out)
    }
}

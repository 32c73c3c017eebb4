//! The finish: what comes after the rows. Indexes and keys, foreign keys, sequences, statistics.
//!
//! Indexes of all tables are built by several connections at once, the largest table's first; a
//! table's keys become constraints when its last index is there. Foreign keys are all added by one
//! connection without looking at the rows, and looked at in parallel afterwards, one child table at
//! a time: added from two sessions, circular ones deadlock.
//!
//! Every step looks first whether it is done: a run that was cut off here does the rest, and after a
//! lost connection a step is done again.

use crate::control::cancel::CancelScope;
use crate::control::progress::{Phase, PhaseProgress, Progress};
use crate::control::retry::{Reconnecting, RetryPolicy};
use crate::error::Result;
use crate::plan::{OptionalDdl, Plan, PlannedForeignKey, PlannedKey, PlannedTable};
use crate::postgres::catalog::existing;
use crate::postgres::catalog::existing::Index;
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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Memory for one index build. Twice the default cost more time than it saved; the default of
/// 64 MB was the best that was measured.
const INDEX_MEMORY: &str = "64MB";

/// What the finish did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finished {
    /// The steps in the order in which they ended.
    pub(crate) steps: Vec<StepReport>,
    /// What could not be carried over after all.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Runs the finish with `workers` sessions of the claim, each of which is made anew for so long as
/// `retry_for` where it is lost.
///
/// # Errors
/// A key that cannot be built, a lost connection, or that the run was stopped.
pub(crate) fn run(
    plan: &Plan,
    claim: &RunLock,
    workers: usize,
    progress: &Progress,
    retry_for: Duration,
    stop: &AtomicBool,
) -> Result<Finished> {
    let progress = progress.phase(Phase::Finish);
    let finish = Finish { plan, progress, finished: Mutex::default(), retry_for, stop };
    finish.progress.total.store(finish.steps(), Ordering::Relaxed);
    let line = |_| {
        Reconnecting::new(Box::new(|lost| {
            let mut session = claim.session::<Client>("finish", lost)?;
            session
                .client
                .batch_execute(&format!("SET maintenance_work_mem = '{INDEX_MEMORY}'"))
                .map_err(db_error("cannot prepare a connection for the indexes"))?;
            Ok((session.client, session.backend))
        }))
    };
    let mut clients: Vec<Reconnecting<'_, Client>> = (0..workers.max(1)).map(line).collect();
    finish.indexes(&mut clients)?;
    let keys = plan.foreign_keys.iter().collect();
    finish.share(&mut clients[..1], keys, |client, key| {
        finish.foreign_key(client, key).map(|()| None)
    })?;
    finish.analyze(&mut clients)?;
    finish.validate(&mut clients)?;
    let sequences = plan.tables.iter().collect();
    finish.share(&mut clients[..1], sequences, |client, table| {
        finish.sequence(client, table).map(|()| None)
    })?;
    let views = plan.views.iter().collect();
    finish
        .share(&mut clients[..1], views, |client, view| finish.view(client, view).map(|()| None))?;
    Ok(finish.finished.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Finish<'a> {
    plan: &'a Plan,
    progress: &'a PhaseProgress,
    finished: Mutex<Finished>,
    retry_for: Duration,
    stop: &'a AtomicBool,
}

/// An index to build.
enum Build<'a> {
    Key {
        table: usize,
        key: &'a PlannedKey,
    },
    Index {
        table: usize,
        optional: &'a OptionalDdl,
    },
    /// The table's constraints, when its last index is there.
    Constraints {
        table: usize,
    },
}

impl Build<'_> {
    fn table(&self) -> usize {
        match self {
            Self::Key { table, .. } | Self::Index { table, .. } | Self::Constraints { table } => {
                *table
            }
        }
    }
}

impl<'a> Finish<'a> {
    fn steps(&self) -> u64 {
        let of_table = |table: &PlannedTable| {
            let sequence = usize::from(table.sequence.is_some());
            table.keys.len() + table.indexes.len() + table.checks.len() + 1 + sequence
        };
        let tables: usize = self.plan.tables.iter().map(of_table).sum();
        (tables + 2 * self.plan.foreign_keys.len() + self.plan.views.len()) as u64
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Finished> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one step, and reports it, unless it has to be done again.
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
        self.lock().steps.push(StepReport { what: what.to_owned(), seconds });
        self.progress.done.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Runs one statement as a step; where the server refuses it, it is listed as left out.
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
                self.lock().left_out.push(LeftOut { reason, ..left_out.clone() });
                Ok(())
            }
            Err(error) => Err(db_error(&format!("cannot build {what}"))(error)),
        }
    }

    /// Gives each task to the next free connection, and again to a new one where that was lost.
    /// What comes of a task is the next one.
    fn share<T: Send>(
        &self,
        clients: &mut [Reconnecting<'_, Client>],
        tasks: VecDeque<T>,
        work: impl Fn(&mut Client, &T) -> Result<Option<T>> + Sync,
    ) -> Result<()> {
        let halt = CancelScope::new(self.stop);
        let tasks = Mutex::new(tasks);
        let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        std::thread::scope(|scope| {
            for client in clients {
                let (halt, next, work) = (&halt, &next, &work);
                scope.spawn(move || {
                    halt.run_thread("a connection of the finish", || {
                        let retry_policy = RetryPolicy {
                            limit: self.retry_for,
                            is_halted: &|| halt.is_cancelled(),
                            progress: self.progress,
                        };
                        while !halt.is_cancelled() {
                            let Some(task) = next() else { break };
                            let mut task = Some(task);
                            while let Some(one) = task {
                                task = client.run(&retry_policy, |client| work(client, &one))?;
                            }
                        }
                        Ok(())
                    });
                });
            }
        });
        halt.end()
    }

    /// The tables by size, the largest first.
    fn by_size(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.plan.tables.len()).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(self.plan.tables[place].bytes));
        places
    }

    fn indexes(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        let mut builds = VecDeque::new();
        let mut left = Vec::new();
        left.resize_with(self.plan.tables.len(), || AtomicUsize::new(0));
        for table in self.by_size() {
            let planned = &self.plan.tables[table];
            for key in &planned.keys {
                builds.push_back(Build::Key { table, key });
            }
            for optional in &planned.indexes {
                builds.push_back(Build::Index { table, optional });
            }
            left[table].store(planned.keys.len() + planned.indexes.len(), Ordering::Relaxed);
        }
        let bare = self.by_size().into_iter().filter(|&t| left[t].load(Ordering::Relaxed) == 0);
        builds.extend(bare.map(|table| Build::Constraints { table }));
        self.share(clients, builds, |client, build| {
            let place = build.table();
            let table = &self.plan.tables[place];
            match build {
                Build::Key { key, .. } => self.key(client, table, key)?,
                Build::Index { optional, .. } => self.index(client, table, optional)?,
                Build::Constraints { .. } => return self.constraints(client, table).map(|()| None),
            }
            let is_last = left[place].fetch_sub(1, Ordering::AcqRel) == 1;
            Ok(is_last.then_some(Build::Constraints { table: place }))
        })
    }

    fn key(&self, client: &mut Client, table: &PlannedTable, key: &PlannedKey) -> Result<()> {
        if self.is_built(client, table, &key.name)? {
            return Ok(());
        }
        self.step(&key.what, || client.batch_execute(&key.index))
            .map_err(db_error(&format!("cannot build the {}", key.what)))
    }

    fn index(&self, client: &mut Client, table: &PlannedTable, index: &OptionalDdl) -> Result<()> {
        if self.is_built(client, table, &index.name)? {
            return Ok(());
        }
        self.optional(client, &index.what, &index.sql, &index.left_out)
    }

    /// Whether an index is there; one that is there in part is dropped.
    fn is_built(&self, client: &mut Client, table: &PlannedTable, name: &str) -> Result<bool> {
        match existing::index(client, &table.qualified(), name)? {
            Index::Absent => return Ok(false),
            Index::Whole => {}
            Index::Invalid => {
                let name = qualify(&self.plan.schema, name);
                client
                    .batch_execute(&format!("DROP INDEX IF EXISTS {name}"))
                    .map_err(db_error("cannot drop an index that is built in part only"))?;
                return Ok(false);
            }
        }
        self.progress.done.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// A table's constraints, once all its indexes are there; then autovacuum may have it.
    fn constraints(&self, client: &mut Client, table: &PlannedTable) -> Result<()> {
        for key in &table.keys {
            if let Some(constraint) = &key.constraint
                && existing::constraint(client, &table.qualified(), &key.name)?.is_none()
            {
                client
                    .batch_execute(constraint)
                    .map_err(db_error(&format!("cannot make the {}", key.what)))?;
            }
        }
        for check in &table.checks {
            if existing::constraint(client, &table.qualified(), &check.name)?.is_some() {
                self.progress.done.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.optional(client, &check.what, &check.sql, &check.left_out)?;
        }
        client
            .batch_execute(&ddl::enable_autovacuum(&table.qualified()))
            .map_err(db_error(&format!("cannot finish table {}", quote(&table.name))))
    }

    fn foreign_key(&self, client: &mut Client, key: &PlannedForeignKey) -> Result<()> {
        if existing::constraint(client, &key.ddl.table, &key.ddl.name)?.is_some() {
            self.progress.done.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let what = format!("foreign key {}", quote(&key.ddl.name));
        self.optional(client, &what, &key.ddl.add(), &key.left_out)
    }

    fn analyze(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        self.share(clients, self.by_size().into(), |client, place| {
            let table = &self.plan.tables[*place];
            let what = format!("statistics of {}", quote(&table.name));
            self.step(&what, || client.batch_execute(&format!("ANALYZE {}", table.qualified())))
                .map_err(db_error(&format!("cannot gather the {what}")))
                .map(|()| None)
        })
    }

    /// Looks at the rows of each foreign key. One that finds rows without a parent stays as it
    /// is, NOT VALID, and is listed with their number.
    fn validate(&self, clients: &mut [Reconnecting<'_, Client>]) -> Result<()> {
        let children = self.by_size().into();
        self.share(clients, children, |client, child| {
            let keys = self.plan.foreign_keys.iter().filter(|key| key.child == *child);
            for key in keys.filter(|key| !self.is_listed(&key.left_out)) {
                if existing::constraint(client, &key.ddl.table, &key.ddl.name)? == Some(true) {
                    self.progress.done.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let what = format!("validation of foreign key {}", quote(&key.ddl.name));
                let validated = self.step(&what, || client.batch_execute(&key.ddl.validate()));
                let Err(error) = validated else { continue };
                if error.code() != Some(&SqlState::FOREIGN_KEY_VIOLATION) {
                    return Err(db_error(&format!("cannot end the {what}"))(error));
                }
                let listed = key.listed(&self.orphans(client, key)?);
                self.lock().left_out.push(listed);
            }
            Ok(None)
        })
    }

    /// Something is left out, by the server's word.
    fn is_listed(&self, left_out: &LeftOut) -> bool {
        let same = |left: &LeftOut| {
            (left.kind, &left.name, &left.table) == (left_out.kind, &left_out.name, &left_out.table)
        };
        self.lock().left_out.iter().any(same)
    }

    /// The rows of a foreign key that have no parent: those of the target, where the rows of a
    /// reject file are missing too.
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

    fn sequence(&self, client: &mut Client, table: &PlannedTable) -> Result<()> {
        let Some((sequence, highest)) = &table.sequence else { return Ok(()) };
        let what = format!("sequence of {}", quote(&table.name));
        self.step(&what, || client.batch_execute(&ddl::set_sequence(sequence, *highest)))
            .map_err(db_error(&format!("cannot set the {what}")))
    }

    fn view(&self, client: &mut Client, view: &OptionalDdl) -> Result<()> {
        if existing::view(client, &self.plan.schema, &view.name)? {
            self.progress.done.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.optional(client, &view.what, &view.sql, &view.left_out)
    }
}

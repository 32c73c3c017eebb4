//! The finish: what comes after the rows. Indexes and keys, foreign keys, sequences, statistics.
//!
//! Indexes of all tables are built by several connections at once, the largest table's first; a
//! table's keys become constraints when its last index is there. Foreign keys are all added by one
//! connection without looking at the rows, and looked at in parallel afterwards, one child table at
//! a time: added from two sessions, circular ones deadlock.

pub(crate) mod into_sqlite;

use crate::error::Result;
use crate::postgres::ddl;
use crate::postgres::errors::{describe, failed, is_refusal};
use crate::progress::{Phase, PhaseProgress, Progress};
use crate::schema::LeftOut;
use crate::schema::names::quote;
use crate::sqlite::profile::Tally;
use crate::transfer::halt::Halt;
use crate::transfer::plan::{Optional, Plan, PlannedForeignKey, PlannedTable};
use crate::transfer::report::StepReport;
use postgres::Client;
use postgres::error::SqlState;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Memory for one index build. Twice the default cost more time than it saved; the default of
/// 64 MB was the best that was measured.
const INDEX_MEMORY: &str = "64MB";

/// What the finish did.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// The steps in the order in which they ended.
    pub steps: Vec<StepReport>,
    /// What could not be carried over after all.
    pub left_out: Vec<LeftOut>,
}

/// Runs the finish with `workers` connections made by `connect`.
///
/// # Errors
/// A key that cannot be built, a lost connection, or that the run was stopped.
pub fn run(
    plan: &Plan,
    connect: &(dyn Fn() -> Result<Client> + Sync),
    workers: usize,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Finished> {
    let finish =
        Finish { plan, progress: progress.phase(Phase::Finish), finished: Mutex::default(), stop };
    finish.progress.total.store(finish.steps(), Ordering::Relaxed);
    let mut clients = Vec::new();
    for _ in 0..workers.max(1) {
        let mut client = connect()?;
        client
            .batch_execute(&format!("SET maintenance_work_mem = '{INDEX_MEMORY}'"))
            .map_err(failed("cannot prepare a connection for the indexes"))?;
        clients.push(client);
    }
    finish.indexes(&mut clients)?;
    finish.foreign_keys(&mut clients[0])?;
    finish.analyze(&mut clients)?;
    finish.validate(&mut clients)?;
    finish.rest(&mut clients[0])?;
    Ok(finish.finished.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Finish<'a> {
    plan: &'a Plan,
    progress: &'a PhaseProgress,
    finished: Mutex<Finished>,
    stop: &'a AtomicBool,
}

/// An index to build.
enum Build<'a> {
    Key { table: usize, what: &'a str, sql: &'a str },
    Index { table: usize, optional: &'a Optional },
}

impl Build<'_> {
    fn table(&self) -> usize {
        match self {
            Self::Key { table, .. } | Self::Index { table, .. } => *table,
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

    /// Runs one step, and reports it.
    fn step<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        self.progress.set_step(what);
        let started = Instant::now();
        let result = work();
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
    ) -> Result<bool> {
        match self.step(what, || client.batch_execute(sql)) {
            Ok(()) => Ok(true),
            Err(error) if is_refusal(&error) => {
                let reason = format!("the server refuses it: {}", describe(&error));
                self.lock().left_out.push(LeftOut { reason, ..left_out.clone() });
                Ok(false)
            }
            Err(error) => Err(failed(&format!("cannot build {what}"))(error)),
        }
    }

    /// Gives each task to the next free connection.
    fn share<T: Send>(
        &self,
        clients: &mut [Client],
        tasks: VecDeque<T>,
        work: impl Fn(&mut Client, T) -> Result<()> + Sync,
    ) -> Result<()> {
        let halt = Halt::new(self.stop);
        let tasks = Mutex::new(tasks);
        let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        std::thread::scope(|scope| {
            for client in clients {
                let (halt, next, work) = (&halt, &next, &work);
                scope.spawn(move || {
                    halt.guard("a connection of the finish", || {
                        while !halt.is_set() {
                            let Some(task) = next() else { break };
                            work(client, task)?;
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

    fn indexes(&self, clients: &mut [Client]) -> Result<()> {
        let mut builds = VecDeque::new();
        let mut left = Vec::new();
        left.resize_with(self.plan.tables.len(), || AtomicUsize::new(0));
        for table in self.by_size() {
            let planned = &self.plan.tables[table];
            for key in &planned.keys {
                builds.push_back(Build::Key { table, what: &key.what, sql: &key.index });
            }
            for optional in &planned.indexes {
                builds.push_back(Build::Index { table, optional });
            }
            left[table].store(planned.keys.len() + planned.indexes.len(), Ordering::Relaxed);
        }
        let bare: VecDeque<usize> =
            self.by_size().into_iter().filter(|&t| left[t].load(Ordering::Relaxed) == 0).collect();
        self.share(clients, builds, |client, build| {
            let table = build.table();
            match build {
                Build::Key { what, sql, .. } => self
                    .step(what, || client.batch_execute(sql))
                    .map_err(failed(&format!("cannot build the {what}")))?,
                Build::Index { optional, .. } => {
                    self.optional(client, &optional.what, &optional.sql, &optional.left_out)?;
                }
            }
            if left[table].fetch_sub(1, Ordering::AcqRel) == 1 {
                self.constraints(client, &self.plan.tables[table])?;
            }
            Ok(())
        })?;
        self.share(clients, bare, |client, table| {
            self.constraints(client, &self.plan.tables[table])
        })
    }

    /// A table's constraints, once all its indexes are there; then autovacuum may have it.
    fn constraints(&self, client: &mut Client, table: &PlannedTable) -> Result<()> {
        for key in &table.keys {
            if let Some(constraint) = &key.constraint {
                client
                    .batch_execute(constraint)
                    .map_err(failed(&format!("cannot make the {}", key.what)))?;
            }
        }
        for check in &table.checks {
            self.optional(client, &check.what, &check.sql, &check.left_out)?;
        }
        client
            .batch_execute(&ddl::end_of_loading(&table.qualified()))
            .map_err(failed(&format!("cannot finish table {}", quote(&table.name))))
    }

    fn foreign_keys(&self, client: &mut Client) -> Result<()> {
        for key in &self.plan.foreign_keys {
            let what = format!("foreign key {}", quote(&key.ddl.name));
            self.optional(client, &what, &key.ddl.add(), &key.left_out)?;
        }
        Ok(())
    }

    fn analyze(&self, clients: &mut [Client]) -> Result<()> {
        self.share(clients, self.by_size().into(), |client, place| {
            let table = &self.plan.tables[place];
            let what = format!("statistics of {}", quote(&table.name));
            self.step(&what, || client.batch_execute(&format!("ANALYZE {}", table.qualified())))
                .map_err(failed(&format!("cannot gather the {what}")))
        })
    }

    /// Looks at the rows of each foreign key. One that finds rows without a parent stays as it
    /// is, NOT VALID, and is listed with their number.
    fn validate(&self, clients: &mut [Client]) -> Result<()> {
        let listed: Vec<LeftOut> = self.lock().left_out.clone();
        let missing = |key: &PlannedForeignKey| {
            let same = |left: &LeftOut| {
                left.kind == key.left_out.kind
                    && left.name == key.left_out.name
                    && left.table == key.left_out.table
            };
            listed.iter().any(same)
        };
        let children = self.by_size().into();
        self.share(clients, children, |client, child| {
            let keys = self.plan.foreign_keys.iter().filter(|key| key.child == child);
            for key in keys.filter(|key| !missing(key)) {
                let what = format!("validation of foreign key {}", quote(&key.ddl.name));
                let validated = self.step(&what, || client.batch_execute(&key.ddl.validate()));
                let Err(error) = validated else { continue };
                if error.code() != Some(&SqlState::FOREIGN_KEY_VIOLATION) {
                    return Err(failed(&format!("cannot end the {what}"))(error));
                }
                let listed = key.listed(&self.orphans(client, key)?);
                self.lock().left_out.push(listed);
            }
            Ok(())
        })
    }

    /// The rows of a foreign key that have no parent: those of the target, where the rows of a
    /// reject file are missing too.
    fn orphans(&self, client: &mut Client, key: &PlannedForeignKey) -> Result<Tally> {
        let what = format!("cannot count the rows that break foreign key {}", quote(&key.ddl.name));
        let count: i64 =
            client.query_one(&key.ddl.count_orphans(), &[]).map_err(failed(&what))?.get(0);
        let child = &self.plan.tables[key.child];
        let mut tally = Tally { count: count.unsigned_abs(), places: Vec::new() };
        if let Some(column) = child.integer_key() {
            let rows = client.query(&key.ddl.first_orphans(column), &[]).map_err(failed(&what))?;
            tally.places = rows.iter().map(|row| row.get(0)).collect();
        }
        Ok(tally)
    }

    /// Sequences and views.
    fn rest(&self, client: &mut Client) -> Result<()> {
        for table in &self.plan.tables {
            if let Some((sequence, highest)) = &table.sequence {
                let what = format!("sequence of {}", quote(&table.name));
                self.step(&what, || client.batch_execute(&ddl::set_sequence(sequence, *highest)))
                    .map_err(failed(&format!("cannot set the {what}")))?;
            }
        }
        for view in &self.plan.views {
            self.optional(client, &view.what, &view.sql, &view.left_out)?;
        }
        Ok(())
    }
}

//! What the server can do: take ready blocks, and give its rows back, with nothing else to do.

use crate::bench::stages::blocks::Blocks;
use crate::config::connection::Connection;
use crate::control::cancel::CancelScope;
use crate::copy::schedule::{Schedule, TableWork, Work};
use crate::error::{Error, Result};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::connect::connect;
use crate::postgres::copy_in::copy_in;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::errors::db_error;
use crate::schema::names::{literal, quote};
use crate::verify::scan::block_ranges;
use postgres::Client;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Rows between two looks at whether to stop.
const ROWS_BETWEEN_CHECKS: u64 = 4_096;

/// Whether a commit is waited for until it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// As the copy does it.
    Async,
    /// As servers do it by default.
    Synced,
}

/// Ready blocks, and as many connections as send them: everything that is needed before the
/// clock is started.
pub(crate) struct Load<'a> {
    plan: &'a Plan<ToPostgres>,
    blocks: &'a Blocks,
    clients: Vec<Client>,
}

impl<'a> Load<'a> {
    /// Creates the plan's tables, without keys and indexes, and connects.
    pub(crate) fn prepare(
        plan: &'a Plan<ToPostgres>,
        blocks: &'a Blocks,
        connection: &Connection,
        connections: usize,
        commit: Commit,
    ) -> Result<Self> {
        let what = "cannot prepare the tables";
        let setting = match commit {
            Commit::Async => "off",
            Commit::Synced => "on",
        };
        let open = |_| -> Result<Client> {
            let mut client = connect::<Client>(connection, "bench")?.client;
            let set = format!("SET synchronous_commit = {setting}");
            client.batch_execute(&set).map_err(db_error(what))?;
            Ok(client)
        };
        let mut clients: Vec<Client> = (0..connections.max(1)).map(open).collect::<Result<_>>()?;
        let mut transaction = clients[0].transaction().map_err(db_error(what))?;
        for table in &plan.tables {
            transaction.batch_execute(&table.ddl.create()).map_err(db_error(what))?;
        }
        transaction.commit().map_err(db_error(what))?;
        Ok(Self { plan, blocks, clients })
    }

    /// Sends all blocks, each as one COPY. Each connection keeps to tables of its own as long as
    /// there are any.
    pub(crate) fn run(mut self, cancel: &CancelScope) -> Result<()> {
        let Self { plan, blocks, clients } = &mut self;
        let (plan, blocks) = (*plan, *blocks);
        let of_table = |table: usize| {
            let chunks = blocks.list().iter().enumerate().filter(|(_, one)| one.table == table);
            let chunks = chunks.map(|(place, _)| place).collect();
            TableWork { table, chunks, bytes: blocks.bytes_of(table), in_order: false }
        };
        let work = (0..plan.tables.len()).map(of_table).collect();
        let schedule = Schedule::new(work, clients.len(), usize::MAX);
        let cancel = cancel.child();
        std::thread::scope(|scope| {
            for (lane, client) in clients.iter_mut().enumerate() {
                let (cancel, schedule) = (&cancel, &schedule);
                scope.spawn(move || {
                    cancel.run_thread("a connection", || {
                        let mut data = Vec::new();
                        while let Some(Work::Chunk { chunk, .. }) = schedule.next_for(lane) {
                            if cancel.is_cancelled() {
                                break;
                            }
                            let ready = &blocks.list()[chunk];
                            blocks.read(ready, &mut data)?;
                            let table = &plan.tables[ready.table];
                            let what =
                                format!("cannot send a block of table {}", quote(&table.name));
                            let copy = table.ddl.copy(&table.read.sent);
                            copy_in(client, copy.as_str(), (&data, ready.digest.rows), &what)?;
                            schedule.committed(lane);
                        }
                        Ok(())
                    });
                });
            }
        });
        cancel.end()
    }
}

/// Rows to be copied out: the pieces of all tables that were loaded, and who reads them.
pub(crate) struct Unload {
    pieces: Vec<String>,
    readers: Vec<TupleReader>,
}

impl Unload {
    /// Cuts the tables into pieces as a verification does, and connects.
    pub(crate) fn prepare(
        plan: &Plan<ToPostgres>,
        connection: &Connection,
        connections: usize,
    ) -> Result<Self> {
        let what = "cannot see how large the tables are";
        let mut client = connect::<Client>(connection, "bench")?.client;
        let mut tables: Vec<&PlannedTable<ToPostgres>> = plan.tables.iter().collect();
        tables.sort_by_key(|table| table.bytes);
        let mut pieces = Vec::new();
        for table in tables {
            let name = table.qualified();
            let sql = format!(
                "SELECT pg_catalog.pg_relation_size({}::pg_catalog.regclass) \
                 / pg_catalog.current_setting('block_size')::bigint",
                literal(&name)
            );
            let blocks: i64 = client.query_one(&sql, &[]).map_err(db_error(what))?.get(0);
            let ranges = block_ranges(u64::try_from(blocks).unwrap_or(0));
            // The last piece is read first: so the largest table's come first, from its start on.
            let selects =
                ranges.into_iter().map(|range| format!("SELECT * FROM ONLY {name} WHERE {range}"));
            pieces.extend(selects.rev());
        }
        let open = |_| Ok(connect::<TupleReader>(connection, "bench")?.client);
        let readers = (0..connections.max(1)).map(open).collect::<Result<_>>()?;
        Ok(Self { pieces, readers })
    }

    /// Reads all rows, and throws them away; says how many there were.
    pub(crate) fn run(self, cancel: &CancelScope) -> Result<u64> {
        let Self { pieces, mut readers } = self;
        let (pieces, all, cancel) = (Mutex::new(pieces), Mutex::new(0), cancel.child());
        let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        std::thread::scope(|scope| {
            for reader in &mut readers {
                let (cancel, all, next) = (&cancel, &all, &next);
                scope.spawn(move || {
                    cancel.run_thread("a connection", || {
                        let mut rows = 0;
                        while let Some(select) = next() {
                            reader.tuples(&select, "cannot read the rows back", |_| {
                                rows += 1;
                                let stops =
                                    rows % ROWS_BETWEEN_CHECKS == 0 && cancel.is_cancelled();
                                if stops { Err(Error::interrupted()) } else { Ok(()) }
                            })?;
                        }
                        *all.lock().unwrap_or_else(PoisonError::into_inner) += rows;
                        Ok(())
                    });
                });
            }
        });
        if cancel.is_cancelled() {
            return Err(Error::interrupted());
        }
        cancel.end()?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

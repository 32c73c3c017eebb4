//! The server's limits: receiving encoded blocks, and sending rows.

use crate::bench::stages::blocks::Blocks;
use crate::config::connection::Connection;
use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::copy::schedule::{Schedule, TableWork, Work};
use crate::error::Result;
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
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows between two checks whether to stop.
const ROWS_BETWEEN_CHECKS: u64 = 4_096;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// As in the copy.
    Async,
    /// As by default.
    Synced,
}

/// Encoded blocks and the connections that send them, ready before the clock starts.
pub(crate) struct Load<'a> {
    plan: &'a Plan<ToPostgres>,
    blocks: &'a Blocks,
    clients: Vec<Client>,
}

impl<'a> Load<'a> {
    /// Connects, and creates the plan's tables without keys and indexes.
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

    /// Sends all blocks, each as one COPY. Each connection prefers tables of its own.
    pub(crate) fn run(mut self, cancel: &CancelScope) -> Result<()> {
        let Self { plan, blocks, clients } = &mut self;
        let (plan, blocks) = (*plan, *blocks);
        let table_work = |table: usize| {
            let chunks = blocks.list().iter().enumerate().filter(|(_, one)| one.table == table);
            let chunks = chunks.map(|(index, _)| index).collect();
            TableWork { table, chunks, bytes: blocks.bytes_of(table), in_order: false }
        };
        let work = (0..plan.tables.len()).map(table_work).collect();
        let schedule = Schedule::new(work, clients.len(), usize::MAX);
        let cancel = cancel.child();
        cancel.clone().run_each(clients.iter_mut().enumerate(), "a connection", |(lane, client)| {
            let mut data = Vec::new();
            while let Some(Work::Chunk { chunk, .. }) = schedule.next_for(lane) {
                if cancel.is_cancelled() {
                    break;
                }
                let ready = &blocks.list()[chunk];
                blocks.read(ready, &mut data)?;
                let table = &plan.tables[ready.table];
                let what = format!("cannot send a block of table {}", quote(&table.name));
                let copy = table.ddl.copy(&table.read.sent);
                copy_in(client, copy.as_str(), (&data, ready.digest.rows), &what)?;
                schedule.committed(lane);
            }
            Ok(())
        })
    }
}

/// The ranges of all loaded tables, and the connections that read them.
pub(crate) struct Unload {
    selects: Vec<String>,
    readers: Vec<TupleReader>,
}

impl Unload {
    /// Connects, and cuts the tables into ranges as the verification does.
    pub(crate) fn prepare(
        plan: &Plan<ToPostgres>,
        connection: &Connection,
        connections: usize,
    ) -> Result<Self> {
        let what = "cannot read the sizes of the tables";
        let mut client = connect::<Client>(connection, "bench")?.client;
        let mut tables: Vec<&PlannedTable<ToPostgres>> = plan.tables.iter().collect();
        tables.sort_by_key(|table| table.bytes);
        let mut selects = Vec::new();
        for table in tables {
            let name = table.ddl.qualified();
            let sql = format!(
                "SELECT pg_catalog.pg_relation_size({}::pg_catalog.regclass) \
                 / pg_catalog.current_setting('block_size')::bigint",
                literal(&name)
            );
            let blocks: i64 = client.query_one(&sql, &[]).map_err(db_error(what))?.get(0);
            let ranges = block_ranges(u64::try_from(blocks).unwrap_or(0));
            // The last range is read first: the largest table comes first, from its start.
            let new =
                ranges.into_iter().map(|range| format!("SELECT * FROM ONLY {name} WHERE {range}"));
            selects.extend(new.rev());
        }
        let open = |_| Ok(connect::<TupleReader>(connection, "bench")?.client);
        let readers = (0..connections.max(1)).map(open).collect::<Result<_>>()?;
        Ok(Self { selects, readers })
    }

    /// Reads and discards all rows. Returns their number.
    pub(crate) fn run(self, cancel: &CancelScope) -> Result<u64> {
        let Self { selects, readers } = self;
        let (selects, all, cancel) = (Mutex::new(selects), AtomicU64::new(0), cancel.child());
        let next = || lock(&selects).pop();
        cancel.clone().run_each(readers, "a connection", |mut reader| {
            let mut rows = 0;
            while let Some(select) = next() {
                reader.tuples(&select, "cannot read the rows back", |_| {
                    rows += 1;
                    if rows % ROWS_BETWEEN_CHECKS == 0 { cancel.check() } else { Ok(()) }
                })?;
            }
            all.fetch_add(rows, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(all.into_inner())
    }
}

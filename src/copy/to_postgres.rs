//! The copy into PostgreSQL.
//!
//! ```text
//!  readers ──row batches──> encoders ──blocks──> writers ──> ledger
//! ```
//!
//! All bytes in flight are drawn from one memory budget. The caller ends the phase only after a
//! durable commit and a reading of the whole ledger in which no chunk is missing: earlier commits
//! were acknowledged, but are not durable yet.

use crate::codec::block::Block;
use crate::codec::encode::tuple_encoder::EncodeError;
use crate::codec::row_batch::RowBatch;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::progress::{PhaseProgress, TableProgress};
use crate::copy::buffer_pool::BufferPool;
use crate::copy::channel::{receive, send};
use crate::copy::rate_limit::RateLimiter;
use crate::copy::schedule::{Schedule, TableWork, Work};
use crate::copy::settings::CopySettings;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::copy_in::BlockWriter;
use crate::schema::RowAddress;
use crate::schema::chunk::Chunk;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::read::query::TableQuery;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a chunk takes in flight, per byte of its rows: as a batch and as a block, the latter
/// with room for numbers that grow as decimals.
const COPIES_IN_FLIGHT: u64 = 2;

/// The rows of the committed chunks, by table and chunk number.
pub(crate) type CommittedChunks = HashMap<String, HashMap<u32, u64>>;

struct Batch {
    table: usize,
    chunk: usize,
    lane: usize,
    rows: RowBatch,
    permit: Permit,
}

/// A block on its way to a writer.
type BlockMessage = (Block, Permit);

pub(crate) struct Ends<'a> {
    /// Opens one more reader on the state of the source.
    pub(crate) reader: &'a (dyn Fn(Arc<[TableQuery]>) -> Result<ChunkReader> + Sync),
    /// Opens one more writer to the target. A writer that was lost is ended first.
    pub(crate) writer: &'a (dyn Fn(Option<Backend>) -> Result<(BlockWriter, Backend)> + Sync),
    /// The run's list of statements in flight on the target.
    pub(crate) in_flight: &'a InFlight,
}

/// One pass of the pipeline over the missing chunks of all tables.
struct Copy<'a> {
    plan: &'a Plan<ToPostgres>,
    ends: &'a Ends<'a>,
    stats: &'a CopyStats,
    settings: &'a CopySettings<'a>,
    schedule: Schedule,
    budget: Arc<MemoryBudget>,
    rate: RateLimiter,
    buffers: BufferPool,
}

/// Copies the chunks that are not committed yet. After a stop no further chunk is started, and the
/// chunks in flight are written. `settings.cancel` is a draining scope, and has the result.
pub(crate) fn run(
    plan: &Plan<ToPostgres>,
    committed: &CommittedChunks,
    ends: &Ends<'_>,
    stats: &CopyStats,
    settings: &CopySettings<'_>,
) -> Result<()> {
    let resources = settings.resources;
    let tables = plan.tables.iter().enumerate();
    let work = tables.map(|(index, table)| missing_chunks(index, table, committed)).collect();
    // Each lane may hold its share of the chunks that fit into the budget.
    let in_flight = resources.budget / (COPIES_IN_FLIGHT * resources.chunk_bytes);
    let schedule = Schedule::new(work, resources.writers, in_flight as usize / resources.writers);
    let max_retained = resources.budget / COPIES_IN_FLIGHT;
    let copy = Copy {
        plan,
        ends,
        stats,
        settings,
        schedule,
        budget: MemoryBudget::new(resources.budget),
        rate: RateLimiter::new(settings.max_rate),
        buffers: BufferPool::new(resources.chunk_bytes * 3 / 2, max_retained),
    };
    copy.run()
}

/// Counts the rows of the committed chunks. At the first call they count as progress, too.
pub(crate) fn count_committed(
    plan: &Plan<ToPostgres>,
    committed: &CommittedChunks,
    stats: &CopyStats,
    progress: &PhaseProgress,
    is_first: bool,
) {
    for (index, (table, stats)) in plan.tables.iter().zip(stats.tables()).enumerate() {
        let rows = committed.get(&table.name).map_or(0, |chunks| chunks.values().sum());
        stats.rows.store(rows, Ordering::Relaxed);
        if is_first {
            progress.add(index, rows, 0);
        }
    }
}

/// The counters of the tables in the copy phase.
pub(crate) fn table_progress(plan: &Plan<ToPostgres>) -> Vec<TableProgress> {
    let counters = |table: &PlannedTable<ToPostgres>| TableProgress {
        name: table.name.clone(),
        total: table.rows - table.rows_rejected(),
        done: AtomicU64::new(0),
    };
    plan.tables.iter().map(counters).collect()
}

fn missing_chunks(
    index: usize,
    table: &PlannedTable<ToPostgres>,
    committed: &CommittedChunks,
) -> TableWork {
    let committed = committed.get(&table.name);
    let is_missing = |chunk: &&Chunk| !committed.is_some_and(|all| all.contains_key(&chunk.number));
    let chunks: Vec<&Chunk> = table.read.chunks.iter().filter(is_missing).collect();
    TableWork {
        table: index,
        bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
        chunks: chunks.iter().map(|chunk| chunk.number as usize - 1).collect(),
        in_order: table.read.query.address == RowAddress::Ordinal,
    }
}

impl Copy<'_> {
    fn run(&self) -> Result<()> {
        let CopySettings { resources, cancel, .. } = *self.settings;
        let queries: Arc<[TableQuery]> =
            self.plan.tables.iter().map(|table| table.read.query.clone()).collect();
        let encoders = rayon::ThreadPoolBuilder::new()
            .num_threads(resources.encoders)
            .thread_name(|number| format!("encoder {number}"))
            .build()
            .map_err(|error| Error::failed("cannot start the encoders").caused_by(error))?;
        let (batches_in, batches) = bounded::<Batch>(resources.encoders);
        let (to_lanes, lanes): (Vec<Sender<BlockMessage>>, Vec<Receiver<BlockMessage>>) =
            (0..resources.writers).map(|_| bounded(2)).unzip();
        std::thread::scope(|scope| {
            for (lane, blocks) in lanes.into_iter().enumerate() {
                scope.spawn(move || cancel.run_thread("a writer", || self.write(lane, &blocks)));
            }
            for _ in 0..resources.readers {
                let (queries, batches_in) = (Arc::clone(&queries), batches_in.clone());
                let read = move || self.read((self.ends.reader)(queries)?, &batches_in);
                scope.spawn(move || cancel.run_thread("a reader", read));
            }
            drop(batches_in);
            encoders.broadcast(|_| {
                cancel.run_thread("an encoder", || self.encode(&batches, &to_lanes));
            });
            drop(to_lanes);
        });
        Ok(())
    }

    fn read(&self, mut reader: ChunkReader, batches: &Sender<Batch>) -> Result<()> {
        let cancel = self.settings.cancel;
        while let Some(work) = self.schedule.next(cancel) {
            match work {
                Work::Chunk { table, chunk, lane } => {
                    let planned = &self.plan.tables[table].read.chunks[chunk];
                    let Some((mut rows, permit)) = self.reserve(table, planned) else { break };
                    reader.read(table, planned, &mut rows)?;
                    send(batches, Batch { table, chunk, lane, rows, permit }, cancel);
                }
                Work::InOrder { table, chunks, lane } => {
                    let wanted: HashSet<usize> = chunks.into_iter().collect();
                    let read = self.read_in_order(&mut reader, table, &wanted, lane, batches);
                    // A scan that ends because nothing new is started is no failure.
                    if cancel.is_stopping() && !cancel.is_cancelled() {
                        break;
                    }
                    read?;
                }
            }
        }
        Ok(())
    }

    /// Reads a table without a key in one scan, and sends its `wanted` chunks.
    fn read_in_order(
        &self,
        reader: &mut ChunkReader,
        table: usize,
        wanted: &HashSet<usize>,
        lane: usize,
        batches: &Sender<Batch>,
    ) -> Result<()> {
        let held = Cell::new(None);
        reader.read_in_order(
            table,
            &self.plan.tables[table].read.chunks,
            |chunk| {
                let (rows, permit) = self.reserve(table, chunk).ok_or_else(Error::interrupted)?;
                held.set(Some(permit));
                Ok(rows)
            },
            |chunk, rows| {
                let chunk = chunk.number as usize - 1;
                if let Some(permit) = held.take()
                    && wanted.contains(&chunk)
                {
                    self.schedule.sent(lane);
                    let batch = Batch { table, chunk, lane, rows, permit };
                    send(batches, batch, self.settings.cancel);
                }
                Ok(())
            },
        )
    }

    /// Waits for the memory of a chunk as batch and block, and makes the batch.
    fn reserve(&self, table: usize, chunk: &Chunk) -> Option<(RowBatch, Permit)> {
        let permit = self.budget.take(COPIES_IN_FLIGHT * chunk.bytes, self.settings.cancel)?;
        self.stats.tables()[table].touch();
        // A value takes at most one byte more in a batch than in a tuple.
        let values = chunk.rows * self.plan.tables[table].read.query.columns.len() as u64;
        let capacity = (chunk.bytes + values) as usize;
        Some((RowBatch::new(self.buffers.take(capacity), capacity), permit))
    }

    fn encode(&self, batches: &Receiver<Batch>, lanes: &[Sender<BlockMessage>]) -> Result<()> {
        let cancel = self.settings.cancel;
        while let Some(Batch { table, chunk, lane, rows, permit }) = receive(batches, cancel) {
            let planned = &self.plan.tables[table];
            let number = planned.read.chunks[chunk].number;
            let leave_out = !planned.rejected.is_empty();
            let buffer = self.buffers.take(planned.read.layout.block_bytes(&rows));
            let block = planned
                .read
                .layout
                .encode(table, number, &rows, leave_out, buffer)
                .map_err(|error| unexpected_value(planned, number, error))?;
            self.buffers.put(rows.into_spare());
            send(&lanes[lane], (block, permit), cancel);
        }
        Ok(())
    }

    /// The work of one writer. A block is written again where its connection was lost.
    fn write(&self, lane: usize, blocks: &Receiver<BlockMessage>) -> Result<()> {
        let cancel = self.settings.cancel;
        let retry_policy = self.settings.retry_policy(cancel);
        let mut writer = Reconnecting::new(self.ends.in_flight, Box::new(self.ends.writer));
        while let Some((block, permit)) = receive(blocks, cancel) {
            // A block that waits for the rate limit during a stop is left to the next run.
            if !self.rate.wait(block.data.len() as u64, cancel) {
                continue;
            }
            writer.run(&retry_policy, |writer| writer.write(&block))?;
            let (rows, bytes) = (block.digest.rows, block.data.len() as u64);
            let stats = &self.stats.tables()[block.table];
            stats.rows.fetch_add(rows, Ordering::Relaxed);
            stats.bytes.fetch_add(bytes, Ordering::Relaxed);
            stats.touch();
            self.settings.progress.add(block.table, rows, bytes);
            self.buffers.put_frozen(block.data);
            drop(permit);
            self.schedule.committed(lane);
        }
        Ok(())
    }
}

/// The error of a value that the profile found to fit, and that does not.
fn unexpected_value(table: &PlannedTable<ToPostgres>, chunk: u32, error: EncodeError) -> Error {
    let column = error.field.and_then(|field| table.read.sent.get(field));
    let column = column.map(|&index| format!(" column {}", quote(&table.columns[index].name)));
    Error::failed(format!(
        "table {}{}: {} (row {} of chunk {chunk})",
        quote(&table.name),
        column.unwrap_or_default(),
        error.misfit,
        error.row + 1
    ))
    .caused_by("the source has changed since it was profiled")
    .remedy("start from scratch when no process writes to the source", &["--restart"])
}

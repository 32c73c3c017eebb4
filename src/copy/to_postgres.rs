//! The copy: readers, encoders and writers, joined by bounded channels, under one memory budget.
//!
//! ```text
//!  readers ──row batches──> encoders ──blocks──> writers ──> ledger
//! ```
//!
//! The phase ends only when a commit that reached the disk has been followed by a reading of the
//! whole ledger in which no chunk is missing: commits before were acknowledged, not yet durable.

use crate::codec::block::Block;
use crate::codec::encode::tuple_encoder::EncodeError;
use crate::codec::row_batch::RowBatch;
use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::progress::{PhaseProgress, TableProgress};
use crate::control::retry::{Reconnecting, RetryPolicy};
use crate::control::sizing::Resources;
use crate::copy::buffer_pool::BufferPool;
use crate::copy::rate_limit::RateLimiter;
use crate::copy::schedule::{Schedule, TableWork, Work};
use crate::error::{Error, Result};
use crate::plan::{Plan, PlannedTable};
use crate::postgres::copy_in::Writer;
use crate::schema::RowAddress;
use crate::schema::chunk::Chunk;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::read::query::TableQuery;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Bytes that a chunk takes while it is in flight, for each of its bytes: as a batch and as a
/// block, the latter with room for numbers that grow as decimals.
const COPIES_IN_FLIGHT: u64 = 2;

/// A batch on its way to the encoders.
struct Batch {
    table: usize,
    chunk: usize,
    lane: usize,
    rows: RowBatch,
    permit: Permit,
}

/// A block on its way to a writer.
struct BlockMessage {
    block: Block,
    permit: Permit,
}

/// What was measured of each table.
#[derive(Debug, Default)]
pub(crate) struct TableStats {
    /// Rows committed.
    pub(crate) rows: AtomicU64,
    /// Bytes of COPY data committed.
    pub(crate) bytes: AtomicU64,
    times: Mutex<Option<(Instant, Instant)>>,
}

impl TableStats {
    /// One for each table of `plan`, of which nothing has been copied.
    pub(crate) fn of(plan: &Plan) -> Vec<Self> {
        plan.tables.iter().map(|_| Self::default()).collect()
    }

    /// Seconds from the first chunk taken to the last committed.
    pub(crate) fn seconds(&self) -> f64 {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64())
    }

    fn touch(&self) {
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.get_or_insert((now, now)).1 = now;
    }
}

/// The two ends of a copy.
pub(crate) struct Ends<'a> {
    /// One more reader on the source's state.
    pub(crate) reader: &'a (dyn Fn(Arc<[TableQuery]>) -> Result<ChunkReader> + Sync),
    /// One more writer to the target.
    pub(crate) writer: &'a (dyn Fn() -> Result<Box<dyn Writer + 'a>> + Sync),
}

/// A writer that goes on over a new connection where one was lost, with the block in hand.
pub(crate) struct ReconnectingWriter<'a, W> {
    /// Where a lost writer is replaced.
    pub(crate) line: Reconnecting<'a, W>,
    /// For how long.
    pub(crate) retry_policy: RetryPolicy<'a>,
}

impl<W: Writer> Writer for ReconnectingWriter<'_, W> {
    fn write(&mut self, block: &Block) -> Result<()> {
        self.line.run(&self.retry_policy, |writer| writer.write(block))
    }
}

/// One pass of the pipeline over the chunks that are missing, by table.
pub(crate) struct Copy<'a> {
    plan: &'a Plan,
    resources: &'a Resources,
    progress: &'a PhaseProgress,
    stats: &'a [TableStats],
    halt: &'a CancelScope<'a>,
    schedule: Schedule,
    budget: Arc<MemoryBudget>,
    rate: RateLimiter,
    spares: BufferPool,
}

/// Copies the chunks that the ledger does not hold yet. Once `stop` is set no further chunk is
/// begun, and what is in flight is written.
///
/// Errors are told by `halt`, which the first one of any thread sets.
pub(crate) fn run(
    plan: &Plan,
    done: &HashMap<String, HashMap<u32, u64>>,
    ends: &Ends<'_>,
    resources: &Resources,
    progress: &PhaseProgress,
    stats: &[TableStats],
    halt: &CancelScope<'_>,
) -> Result<()> {
    let work = plan.tables.iter().enumerate().map(|(place, table)| missing(place, table, done));
    // Each lane may hold its share of the chunks that the budget has room for.
    let room = resources.budget / (COPIES_IN_FLIGHT * resources.chunk_bytes);
    let schedule =
        Schedule::new(work.collect(), resources.writers, room as usize / resources.writers);
    let budget = MemoryBudget::new(resources.budget);
    let rate = RateLimiter::new(resources.max_rate);
    // What waits for its next use is at most what was in flight, and that as batch or as block.
    let spares =
        BufferPool::new(resources.chunk_bytes * 3 / 2, resources.budget / COPIES_IN_FLIGHT);
    Copy { plan, resources, progress, stats, halt, schedule, budget, rate, spares }.run(ends)
}

/// Tells of the chunks that are there: what is to be seen of them is that they are done.
pub(crate) fn count(
    plan: &Plan,
    done: &HashMap<String, HashMap<u32, u64>>,
    stats: &[TableStats],
    progress: &PhaseProgress,
    at_first: bool,
) {
    let watched = progress.tables();
    for ((table, stats), watched) in plan.tables.iter().zip(stats).zip(watched.iter()) {
        let rows = done.get(&table.name).map_or(0, |chunks| chunks.values().sum());
        stats.rows.store(rows, Ordering::Relaxed);
        if at_first {
            watched.done.store(rows, Ordering::Relaxed);
            progress.done.fetch_add(rows, Ordering::Relaxed);
        }
    }
}

/// The tables of the copy phase, for whoever watches.
pub(crate) fn table_progress(plan: &Plan) -> Vec<TableProgress> {
    let of_table = |table: &PlannedTable| TableProgress {
        name: table.name.clone(),
        total: table.rows - table.rows_rejected(),
        done: AtomicU64::new(0),
    };
    plan.tables.iter().map(of_table).collect()
}

fn missing(
    place: usize,
    table: &PlannedTable,
    done: &HashMap<String, HashMap<u32, u64>>,
) -> TableWork {
    let there = done.get(&table.name);
    let is_missing = |chunk: &&Chunk| !there.is_some_and(|there| there.contains_key(&chunk.number));
    let chunks: Vec<&Chunk> = table.chunks.iter().filter(is_missing).collect();
    TableWork {
        table: place,
        bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
        chunks: chunks.iter().map(|chunk| chunk.number as usize - 1).collect(),
        in_order: table.query.address == RowAddress::Ordinal,
    }
}

impl Copy<'_> {
    fn run(&self, ends: &Ends<'_>) -> Result<()> {
        let queries: Arc<[TableQuery]> =
            self.plan.tables.iter().map(|table| table.query.clone()).collect();
        let encoders = rayon::ThreadPoolBuilder::new()
            .num_threads(self.resources.encoders)
            .thread_name(|number| format!("encoder {number}"))
            .build()
            .map_err(|error| Error::failed("cannot start the encoders").caused_by(error))?;
        let (batches_in, batches) = bounded::<Batch>(self.resources.encoders);
        let lanes: Vec<(Sender<BlockMessage>, Receiver<BlockMessage>)> =
            (0..self.resources.writers).map(|_| bounded(2)).collect();
        let (to_lanes, at_lanes): (Vec<_>, Vec<_>) = lanes.into_iter().unzip();
        std::thread::scope(|scope| {
            for (lane, parcels) in at_lanes.into_iter().enumerate() {
                scope.spawn(move || {
                    self.halt
                        .run_thread("a writer", || self.write(lane, &parcels, (ends.writer)()?));
                });
            }
            for _ in 0..self.resources.readers {
                let (queries, batches_in) = (Arc::clone(&queries), batches_in.clone());
                scope.spawn(move || {
                    self.halt
                        .run_thread("a reader", || self.read((ends.reader)(queries)?, &batches_in));
                });
            }
            drop(batches_in);
            encoders.broadcast(|_| {
                self.halt.run_thread("an encoder", || self.encode(&batches, &to_lanes));
            });
            drop(to_lanes);
        });
        Ok(())
    }

    fn read(&self, mut reader: ChunkReader, batches: &Sender<Batch>) -> Result<()> {
        while let Some(work) = self.schedule.next(self.halt) {
            match work {
                Work::Chunk { table, chunk, lane } => {
                    let planned = &self.plan.tables[table].chunks[chunk];
                    let Some((mut rows, permit)) = self.room(table, planned) else { break };
                    reader.read(table, planned, &mut rows)?;
                    self.send(batches, Batch { table, chunk, lane, rows, permit });
                }
                Work::InOrder { table, chunks, lane } => {
                    let wanted: HashSet<usize> = chunks.into_iter().collect();
                    let read = self.read_in_order(&mut reader, table, &wanted, lane, batches);
                    // A scan that is left because nothing new is begun is no failure.
                    if self.halt.is_stopping() && !self.halt.is_cancelled() {
                        break;
                    }
                    read?;
                }
            }
        }
        Ok(())
    }

    /// Reads a table without a key in one scan, and sends the chunks that are wanted of it.
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
            &self.plan.tables[table].chunks,
            |chunk| {
                let room = self.room(table, chunk);
                let (rows, permit) = room.ok_or_else(Error::interrupted)?;
                held.set(Some(permit));
                Ok(rows)
            },
            |chunk, rows| {
                let chunk = chunk.number as usize - 1;
                if let Some(permit) = held.take()
                    && wanted.contains(&chunk)
                {
                    self.schedule.sent(lane);
                    self.send(batches, Batch { table, chunk, lane, rows, permit });
                }
                Ok(())
            },
        )
    }

    /// Takes the permit for a chunk as batch and block, and makes the batch.
    fn room(&self, table: usize, chunk: &Chunk) -> Option<(RowBatch, Permit)> {
        let permit = self.budget.take(COPIES_IN_FLIGHT * chunk.bytes, self.halt)?;
        self.stats[table].touch();
        // A value in a batch takes a byte more than in a tuple at most.
        let values = chunk.rows * self.plan.tables[table].query.columns.len() as u64;
        let room = (chunk.bytes + values) as usize;
        Some((RowBatch::new(self.spares.take(room), room), permit))
    }
}

impl Copy<'_> {
    fn send(&self, batches: &Sender<Batch>, batch: Batch) {
        send(batches, batch, self.halt);
    }

    /// One encoder: takes batches until there are no more.
    fn encode(&self, batches: &Receiver<Batch>, lanes: &[Sender<BlockMessage>]) -> Result<()> {
        while let Some(Batch { table, chunk, lane, rows, permit }) = receive(batches, self.halt) {
            let planned = &self.plan.tables[table];
            let number = planned.chunks[chunk].number;
            let leave_out = !planned.rejected.is_empty();
            let spare = self.spares.take(planned.layout.room(&rows));
            let block = planned
                .layout
                .encode(table, number, &rows, leave_out, spare)
                .map_err(|unsendable| unsendable_row(planned, number, unsendable))?;
            self.spares.put(rows.into_spare());
            send(&lanes[lane], BlockMessage { block, permit }, self.halt);
        }
        Ok(())
    }

    /// One writer: writes blocks until there are no more.
    fn write(
        &self,
        lane: usize,
        parcels: &Receiver<BlockMessage>,
        mut writer: Box<dyn Writer + '_>,
    ) -> Result<()> {
        while let Some(BlockMessage { block, permit }) = receive(parcels, self.halt) {
            // A block that waits for its turn when the run is being stopped is left to the next run.
            if !self.rate.wait(block.data.len() as u64, || self.halt.is_stopping()) {
                continue;
            }
            writer.write(&block)?;
            let (rows, bytes) = (block.digest.rows, block.data.len() as u64);
            let stats = &self.stats[block.table];
            stats.rows.fetch_add(rows, Ordering::Relaxed);
            stats.bytes.fetch_add(bytes, Ordering::Relaxed);
            stats.touch();
            self.progress.add(block.table, rows, bytes);
            self.spares.put_frozen(block.data);
            drop(permit);
            self.schedule.committed(lane);
        }
        Ok(())
    }
}

/// Sends, unless the run is being stopped: then what is sent is of no use any more.
fn send<T>(channel: &Sender<T>, mut message: T, halt: &CancelScope<'_>) {
    while !halt.is_cancelled() {
        match channel.send_timeout(message, POLL_INTERVAL) {
            Err(SendTimeoutError::Timeout(back)) => message = back,
            Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
        }
    }
}

/// The next message; `None` when there are no more senders, or the run is being stopped.
fn receive<T>(channel: &Receiver<T>, halt: &CancelScope<'_>) -> Option<T> {
    loop {
        if halt.is_cancelled() {
            return None;
        }
        match channel.recv_timeout(POLL_INTERVAL) {
            Ok(message) => return Some(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// A value that the profile found to fit does not.
fn unsendable_row(table: &PlannedTable, chunk: u32, unsendable: EncodeError) -> Error {
    let place = unsendable.field.and_then(|field| table.sent.get(field));
    Error::failed(format!(
        "table {}{}: {} (row {} of chunk {chunk})",
        quote(&table.name),
        place.map_or_else(String::new, |&p| format!(" column {}", quote(&table.columns[p].name))),
        unsendable.misfit,
        unsendable.row + 1
    ))
    .hint("the source changed since it was profiled; stop what writes to it")
    .suggest_flag("--restart")
}

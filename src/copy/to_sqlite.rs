//! The copy: readers that decode, and the writer, joined by channels under one memory budget.
//!
//! The writer takes piece after piece in the plan's order, so that tables grow at their ends.
//! Readers run ahead of it, each with a budget of its own: what one of them holds can never keep
//! another from giving the writer what it waits for. Rows larger than such a budget are read only
//! when the writer waits for them, so that there is never more than one of them in memory.

use crate::codec::decode::field_decoder::FieldDecoder;
use crate::codec::row_batch::RowBatch;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::tuple::{Field, fields};
use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::progress::PhaseProgress;
use crate::control::sizing::Resources;
use crate::copy::buffer_pool::BufferPool;
use crate::copy::rate_limit::RateLimiter;
use crate::error::{Error, Result};
use crate::plan::to_sqlite::{Plan, PlannedTable};
use crate::postgres::copy_out::TupleReader;
use crate::schema::names::quote;
use crate::sqlite::write::bulk_insert::{FileWriter, Insert};
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Bytes of a batch: enough that handing it over does not show, few enough to fit the smallest
/// budget several times.
const BATCH_BYTES: u64 = 1 << 20;
/// How often a reader may lose its connection in one piece.
const MAX_LOSSES: u32 = 5;

/// What was copied of one table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Copied {
    pub(crate) rows: u64,
    /// As row batches.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// Rows on their way to the writer, and the memory they may take.
struct Batch {
    rows: Rows,
    permit: Permit,
}

enum Rows {
    /// Decoded already.
    Few(RowBatch),
    /// One that is larger than a batch should be, as the driver has it in memory anyway.
    One(Bytes),
}

/// A part of one table, and the way to the writer.
struct Piece<'a> {
    table: usize,
    select: &'a str,
    /// It has rows larger than a reader's budget.
    alone: bool,
    /// Taken by the reader that takes the piece.
    to_writer: Mutex<Option<Sender<Batch>>>,
}

struct Copy<'a> {
    plan: &'a Plan,
    pieces: Vec<Piece<'a>>,
    next: AtomicUsize,
    /// The place of the piece that the writer takes or waits for.
    at: AtomicUsize,
    connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// Bytes of one reader's batches.
    budget: u64,
    halt: CancelScope<'a>,
    rate: RateLimiter,
    progress: &'a PhaseProgress,
    /// The memory of batches that were written.
    spares: BufferPool,
}

/// Copies all tables.
pub(crate) fn run(
    plan: &Plan,
    writer: &FileWriter,
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    resources: &Resources,
    progress: &PhaseProgress,
    stop: &AtomicBool,
) -> Result<Vec<Copied>> {
    let pieces = plan.tables.iter().map(|table| table.pieces.len()).sum();
    let readers = resources.readers.min(pieces);
    let budget = resources.budget / readers.max(1) as u64;
    let mut pieces = Vec::with_capacity(pieces);
    let mut receivers = Vec::with_capacity(pieces.capacity());
    for (table, planned) in plan.tables.iter().enumerate() {
        let alone = planned.widest > budget;
        for select in &planned.pieces {
            let (to_writer, received) = unbounded();
            pieces.push(Piece { table, select, alone, to_writer: Mutex::new(Some(to_writer)) });
            receivers.push((table, received));
        }
    }
    let copy = Copy {
        plan,
        pieces,
        next: AtomicUsize::new(0),
        at: AtomicUsize::new(0),
        connect,
        budget,
        halt: CancelScope::new(stop),
        rate: RateLimiter::new(resources.max_rate),
        progress,
        spares: BufferPool::new(BATCH_BYTES * 9 / 8, resources.budget / 8),
    };
    let mut copied = vec![Copied::default(); plan.tables.len()];
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| copy.halt.run_thread("a reader", || copy.read()));
        }
        copy.halt.run_thread("the writer", || copy.write(writer, receivers, &mut copied));
    });
    copy.halt.end()?;
    Ok(copied)
}

impl Copy<'_> {
    /// One reader: takes pieces until there are no more.
    fn read(&self) -> Result<()> {
        let budget = MemoryBudget::new(self.budget);
        let mut client: Option<TupleReader> = None;
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = self.pieces.get(place).filter(|_| !self.halt.is_cancelled()) else {
                return Ok(());
            };
            let to_writer = piece.to_writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(to_writer) = to_writer else { continue };
            while piece.alone
                && self.at.load(Ordering::Relaxed) < place
                && !self.halt.is_cancelled()
            {
                std::thread::park_timeout(POLL_INTERVAL);
            }
            let mut sent = 0;
            let mut losses = 0;
            loop {
                let session = match &mut client {
                    Some(session) => session,
                    none => none.insert((self.connect)()?),
                };
                match self.read_piece(session, piece, &budget, &to_writer, &mut sent) {
                    Ok(()) => break,
                    // The snapshot lives on with the keeper: whoever joins it sees the same rows
                    // in the same order.
                    Err(_)
                        if losses < MAX_LOSSES
                            && !self.halt.is_cancelled()
                            && session.is_retryable() =>
                    {
                        losses += 1;
                        client = None;
                    }
                    Err(error) => return Err(error),
                }
            }
            // The driver keeps the room that the largest row took.
            client.take_if(|_| piece.alone);
        }
    }

    /// Reads a piece, but for the first rows of it that were `sent` already.
    fn read_piece(
        &self,
        client: &mut TupleReader,
        piece: &Piece<'_>,
        budget: &Arc<MemoryBudget>,
        to_writer: &Sender<Batch>,
        sent: &mut u64,
    ) -> Result<()> {
        let table = &self.plan.tables[piece.table];
        let wires = wires(table);
        let limit = BATCH_BYTES.min(self.budget / 4) as usize;
        // The last row of a batch can take more bytes in it than in a tuple.
        let room = limit + limit / 8;
        let mut skip = *sent;
        let mut filled: Option<(RowBatch, Permit)> = None;
        let mut scratch = Vec::new();
        let permit = |bytes: usize| {
            let permit = budget.take(bytes as u64, &self.halt);
            permit.ok_or_else(Error::interrupted)
        };
        let mut send = |rows: Rows, permit: Permit| {
            *sent += rows.count();
            // A writer that is gone has said why.
            let _ = to_writer.send(Batch { rows, permit });
        };
        let what = format!("cannot read table {}", quote(&table.name));
        client.kept_tuples(piece.select, &what, |tuple, kept| {
            if skip > 0 {
                skip -= 1;
                return Ok(());
            }
            let full = |(batch, _): &mut (RowBatch, _)| batch.byte_len() + tuple.len() > limit;
            if let Some((batch, permit)) = filled.take_if(full) {
                send(Rows::Few(batch), permit);
            }
            if tuple.len() > limit {
                send(Rows::One(kept.slice_ref(tuple)), permit(tuple.len())?);
                // The next one may be as large: it is not read before this one is written.
                if tuple.len() as u64 > self.budget {
                    drop(permit(tuple.len())?);
                }
                return Ok(());
            }
            let (batch, _) = match &mut filled {
                Some(filled) => filled,
                none => {
                    let permit = permit(limit)?;
                    none.insert((RowBatch::new(self.spares.take(room), room), permit))
                }
            };
            decode(table, &wires, tuple, &mut scratch, |_, value| {
                batch.push(value);
                Ok(())
            })?;
            batch.end_row();
            Ok(())
        })?;
        if let Some((batch, permit)) = filled {
            send(Rows::Few(batch), permit);
        }
        Ok(())
    }

    /// The writer: takes the pieces in their order.
    fn write(
        &self,
        writer: &FileWriter,
        receivers: Vec<(usize, Receiver<Batch>)>,
        copied: &mut [Copied],
    ) -> Result<()> {
        let mut receivers = receivers.into_iter().enumerate().peekable();
        for (place, table) in self.plan.tables.iter().enumerate() {
            let started = Instant::now();
            let done = &mut copied[place];
            writer.fill(&table.ddl, |insert| {
                let of_table = |(_, (table, _)): &(usize, (usize, _))| *table == place;
                while let Some((piece, (_, received))) = receivers.next_if(of_table) {
                    self.at.store(piece, Ordering::Relaxed);
                    self.drain(place, &received, insert, done)?;
                }
                Ok(())
            })?;
            done.seconds = started.elapsed().as_secs_f64();
            if done.rows != table.rows && !self.halt.is_cancelled() {
                return Err(Error::failed(format!(
                    "table {} gave {} rows where {} were counted",
                    quote(&table.name),
                    done.rows,
                    table.rows
                ))
                .hint("run again; if that does not help, check the server's indexes (amcheck)"));
            }
        }
        Ok(())
    }

    /// Writes one piece.
    fn drain(
        &self,
        place: usize,
        received: &Receiver<Batch>,
        insert: &mut Insert<'_>,
        done: &mut Copied,
    ) -> Result<()> {
        loop {
            let Batch { rows, permit } = match received.recv_timeout(POLL_INTERVAL) {
                Ok(batch) => batch,
                Err(RecvTimeoutError::Timeout) if !self.halt.is_cancelled() => continue,
                Err(_) => return Ok(()),
            };
            let wait = self.rate.wait(rows.len() as u64, || self.halt.is_cancelled());
            if !wait || self.halt.is_cancelled() {
                return Err(Error::interrupted());
            }
            let (count, bytes) = (rows.count(), rows.len() as u64);
            match rows {
                Rows::Few(batch) => {
                    insert.batch(&batch)?;
                    self.spares.put(batch.into_spare());
                }
                Rows::One(tuple) => {
                    let table = &self.plan.tables[place];
                    insert
                        .row(|bind| decode(table, &wires(table), &tuple, &mut Vec::new(), bind))?;
                }
            }
            drop(permit);
            done.rows += count;
            done.bytes += bytes;
            self.progress.add(place, count, bytes);
        }
    }
}

impl Rows {
    fn count(&self) -> u64 {
        match self {
            Self::Few(batch) => batch.rows(),
            Self::One(_) => 1,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(batch) => batch.byte_len(),
            Self::One(tuple) => tuple.len(),
        }
    }
}

/// How the fields of a table's tuples are read.
fn wires(table: &PlannedTable) -> Vec<FieldDecoder> {
    let sent = table.columns.iter().zip(&table.ddl.columns);
    let sent = sent.filter(|(_, ddl)| ddl.generated.is_none());
    sent.map(|(column, _)| column.proposal.wire).collect()
}

/// Hands the values of a tuple to `each`, with their places.
#[inline]
fn decode(
    table: &PlannedTable,
    wires: &[FieldDecoder],
    tuple: &[u8],
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(usize, SqliteValue<'_>) -> Result<()>,
) -> Result<()> {
    let mut fields = fields(tuple);
    for (place, wire) in wires.iter().enumerate() {
        match fields.next() {
            Some(Field::Null) => each(place, SqliteValue::Null)?,
            Some(Field::Bytes(field)) => match wire.decode(field, scratch) {
                Ok(raw) => each(place, raw)?,
                Err(_) => return Err(undecodable(table, place)),
            },
            _ => return Err(undecodable(table, place)),
        }
    }
    Ok(())
}

fn undecodable(table: &PlannedTable, place: usize) -> Error {
    let sent = table.columns.iter().zip(&table.ddl.columns);
    let mut sent = sent.filter(|(_, ddl)| ddl.generated.is_none());
    let column = sent.nth(place).map_or("", |(column, _)| column.name.as_str());
    Error::failed(format!(
        "a value in column {} of table {} cannot be read",
        quote(column),
        quote(&table.name)
    ))
    .hint("--cast TABLE.COLUMN=text takes the column as the server prints it")
}

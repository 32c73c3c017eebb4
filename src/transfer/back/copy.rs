//! The copy: readers that decode, and the writer, joined by channels under one memory budget.
//!
//! The writer takes piece after piece in the plan's order, so that tables grow at their ends.
//! Readers run ahead of it, each with a budget of its own: what one of them holds can never keep
//! another from giving the writer what it waits for.

use super::plan::{Plan, PlannedTable};
use crate::codec::RowBatch;
use crate::codec::decode::Wire;
use crate::codec::tuple::{Field, fields};
use crate::error::{Error, Result};
use crate::postgres::read::TupleReader;
use crate::progress::PhaseProgress;
use crate::schema::names::quote;
use crate::sqlite::write::{FileWriter, Insert};
use crate::transfer::copy::budget::{Budget, Permit};
use crate::transfer::copy::rate::Rate;
use crate::transfer::copy::spares::Spares;
use crate::transfer::halt::Halt;
use crate::transfer::sizes::Sizes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a batch: enough that handing it over does not show, few enough to fit the smallest
/// budget several times.
const BATCH_BYTES: u64 = 1 << 20;
/// How often a wait looks whether the run is being stopped.
const LOOK: Duration = Duration::from_millis(50);
/// How often a reader may lose its connection in one piece.
const MOST_LOSSES: u32 = 5;

/// What was copied of one table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    pub(super) rows: u64,
    /// As row batches.
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

/// Rows on their way to the writer.
struct Batch {
    rows: RowBatch,
    _permit: Permit,
}

/// A part of one table, and the way to the writer.
struct Piece<'a> {
    table: usize,
    select: &'a str,
    /// Taken by the reader that takes the piece.
    to_writer: Mutex<Option<Sender<Batch>>>,
}

struct Copy<'a> {
    plan: &'a Plan,
    pieces: Vec<Piece<'a>>,
    next: AtomicUsize,
    connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// Bytes of one reader's batches.
    budget: u64,
    halt: Halt<'a>,
    rate: Rate,
    progress: &'a PhaseProgress,
    /// The memory of batches that were written.
    spares: Spares,
}

/// Copies all tables.
///
/// # Errors
/// The first error of any thread.
pub(super) fn run(
    plan: &Plan,
    writer: &FileWriter,
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    sizes: &Sizes,
    progress: &PhaseProgress,
    stop: &AtomicBool,
) -> Result<Vec<Copied>> {
    let mut pieces = Vec::new();
    let mut receivers = Vec::new();
    for (table, planned) in plan.tables.iter().enumerate() {
        for select in &planned.pieces {
            let (to_writer, received) = unbounded();
            pieces.push(Piece { table, select, to_writer: Mutex::new(Some(to_writer)) });
            receivers.push((table, received));
        }
    }
    let readers = sizes.readers.min(pieces.len());
    let copy = Copy {
        plan,
        pieces,
        next: AtomicUsize::new(0),
        connect,
        budget: sizes.budget / readers.max(1) as u64,
        halt: Halt::new(stop),
        rate: Rate::new(sizes.max_rate),
        progress,
        spares: Spares::new(BATCH_BYTES * 9 / 8, sizes.budget / 8),
    };
    let mut copied = vec![Copied::default(); plan.tables.len()];
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| copy.halt.guard("a reader", || copy.read()));
        }
        copy.halt.guard("the writer", || copy.write(writer, receivers, &mut copied));
    });
    copy.halt.end()?;
    Ok(copied)
}

impl Copy<'_> {
    /// One reader: takes pieces until there are no more.
    fn read(&self) -> Result<()> {
        let budget = Budget::new(self.budget);
        let mut client: Option<TupleReader> = None;
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = self.pieces.get(place).filter(|_| !self.halt.is_set()) else {
                return Ok(());
            };
            let to_writer = piece.to_writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(to_writer) = to_writer else { continue };
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
                    Err(_) if losses < MOST_LOSSES && !self.halt.is_set() && session.is_lost() => {
                        losses += 1;
                        client = None;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Reads a piece, but for the first rows of it that were `sent` already.
    fn read_piece(
        &self,
        client: &mut TupleReader,
        piece: &Piece<'_>,
        budget: &Arc<Budget>,
        to_writer: &Sender<Batch>,
        sent: &mut u64,
    ) -> Result<()> {
        let table = &self.plan.tables[piece.table];
        let wires = wires(table);
        let limit = BATCH_BYTES.min(self.budget / 4) as usize;
        let mut skip = *sent;
        let mut batch = RowBatch::new(self.spares.take(limit + limit / 8), limit + limit / 8);
        let mut scratch = Vec::new();
        let mut send = |batch: RowBatch| -> Result<()> {
            let permit = budget.take(batch.len() as u64, &self.halt);
            let permit = permit.ok_or_else(Error::interrupted)?;
            *sent += batch.rows();
            // A writer that is gone has said why.
            let _ = to_writer.send(Batch { rows: batch, _permit: permit });
            Ok(())
        };
        let what = format!("cannot read table {}", quote(&table.name));
        client.tuples(piece.select, &what, |tuple| {
            if skip > 0 {
                skip -= 1;
                return Ok(());
            }
            decode(table, &wires, tuple, &mut scratch, &mut batch)?;
            if batch.len() >= limit || batch.rows() >= BATCH_BYTES {
                let next = RowBatch::new(self.spares.take(limit + limit / 8), limit + limit / 8);
                send(std::mem::replace(&mut batch, next))?;
            }
            Ok(())
        })?;
        if batch.rows() > 0 { send(batch) } else { Ok(()) }
    }

    /// The writer: takes the pieces in their order.
    fn write(
        &self,
        writer: &FileWriter,
        receivers: Vec<(usize, Receiver<Batch>)>,
        copied: &mut [Copied],
    ) -> Result<()> {
        let mut receivers = receivers.into_iter().peekable();
        for (place, table) in self.plan.tables.iter().enumerate() {
            let started = Instant::now();
            let done = &mut copied[place];
            writer.fill(&table.ddl.name, &table.ddl.insert(), |insert| {
                while let Some((_, received)) = receivers.next_if(|(table, _)| *table == place) {
                    self.drain(place, &received, insert, done)?;
                }
                Ok(())
            })?;
            done.seconds = started.elapsed().as_secs_f64();
            if done.rows != table.rows && !self.halt.is_set() {
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
            let batch = match received.recv_timeout(LOOK) {
                Ok(batch) => batch,
                Err(RecvTimeoutError::Timeout) if !self.halt.is_set() => continue,
                Err(_) => return Ok(()),
            };
            let wait = self.rate.wait(batch.rows.len() as u64, || self.halt.is_set());
            if !wait || self.halt.is_set() {
                return Err(Error::interrupted());
            }
            insert.batch(&batch.rows)?;
            let (rows, bytes) = (batch.rows.rows(), batch.rows.len() as u64);
            done.rows += rows;
            done.bytes += bytes;
            self.progress.done.fetch_add(rows, Ordering::Relaxed);
            self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
            if let Some(table) = self.progress.tables().get(place) {
                table.done.fetch_add(rows, Ordering::Relaxed);
            }
            let Batch { rows, _permit } = batch;
            self.spares.put(rows.into_spare());
        }
    }
}

/// How the fields of a table's tuples are read.
fn wires(table: &PlannedTable) -> Vec<Wire> {
    let sent = table.columns.iter().zip(&table.ddl.columns);
    let sent = sent.filter(|(_, ddl)| ddl.generated.is_none());
    sent.map(|(column, _)| column.proposal.wire).collect()
}

/// Adds a tuple to a batch as a row.
#[inline]
fn decode(
    table: &PlannedTable,
    wires: &[Wire],
    tuple: &[u8],
    scratch: &mut Vec<u8>,
    batch: &mut RowBatch,
) -> Result<()> {
    let mut fields = fields(tuple);
    for (place, wire) in wires.iter().enumerate() {
        match fields.next() {
            Some(Field::Null) => batch.push(crate::codec::Raw::Null),
            Some(Field::Bytes(field)) => match wire.decode(field, scratch) {
                Ok(raw) => batch.push(raw),
                Err(_) => return Err(undecodable(table, place)),
            },
            _ => return Err(undecodable(table, place)),
        }
    }
    batch.end_row();
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

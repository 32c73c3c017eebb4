//! The copy into SQLite.
//!
//! ```text
//!  readers ──row batches, in order──> writer
//! ```
//!
//! The one writer takes the parts of all tables in the order of the plan, so that tables grow at
//! their ends. Readers run ahead, each within a budget of its own: a reader that holds much can
//! never keep another one from sending what the writer waits for. Rows larger than such a budget are
//! read only when the writer waits for them, so that there is never more than one of them in memory.

use crate::codec::encoding::Encoding;
use crate::codec::row_batch::RowBatch;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::tuple::{Field, fields};
use crate::control::cancel::CancelScope;
use crate::control::memory_budget::{MemoryBudget, Permit};
use crate::control::{POLL_INTERVAL, lock};
use crate::copy::buffer_pool::BufferPool;
use crate::copy::channel::receive;
use crate::copy::rate_limit::RateLimiter;
use crate::copy::settings::CopySettings;
use crate::error::{Error, Result};
use crate::plan::model::{Plan, PlannedColumn, PlannedTable};
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::reconnecting::Reconnecting;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::relation::miscounted;
use crate::schema::names::quote;
use crate::sqlite::write::bulk_insert::{FileWriter, Insert};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Bytes of a batch: enough that the hand-over costs nothing, and few enough that the smallest
/// budget holds several.
const BATCH_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CopiedTable {
    pub(crate) rows: u64,
    /// Bytes of its row batches.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// Rows on their way to the writer, and the permit for their memory.
type Batch = (Rows, Permit);

enum Rows {
    Many(RowBatch),
    /// One row that is larger than a batch should be, in the memory of the driver's message.
    One(Bytes),
}

/// A part of one table, and its channel to the writer.
struct Part<'a> {
    table: usize,
    select: &'a str,
    /// The table has rows larger than a reader's budget.
    has_huge_rows: bool,
    /// Taken by the reader that takes the part.
    to_writer: Mutex<Option<Sender<Batch>>>,
}

/// Opens one more reader in the snapshot.
pub(crate) type OpenReader<'a> = dyn Fn() -> Result<TupleReader> + Sync + 'a;

struct Copy<'a> {
    plan: &'a Plan<ToSqlite>,
    parts: Vec<Part<'a>>,
    next: AtomicUsize,
    /// The part that the writer takes or waits for.
    written: AtomicUsize,
    open: &'a OpenReader<'a>,
    /// Bytes of one reader's batches.
    reader_budget: u64,
    settings: &'a CopySettings<'a>,
    cancel: &'a CancelScope,
    rate: RateLimiter,
    /// The memory of batches that were written.
    buffers: BufferPool,
}

pub(crate) fn run(
    plan: &Plan<ToSqlite>,
    writer: &FileWriter,
    open: &OpenReader<'_>,
    settings: &CopySettings<'_>,
) -> Result<Vec<CopiedTable>> {
    let resources = settings.resources;
    let count = plan.tables.iter().map(|table| table.read.queries.len()).sum();
    let readers = resources.readers.min(count);
    let reader_budget = resources.budget / readers.max(1) as u64;
    let (mut parts, mut receivers) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (table, planned) in plan.tables.iter().enumerate() {
        let has_huge_rows = planned.read.widest > reader_budget;
        for select in &planned.read.queries {
            let (to_writer, batches) = unbounded();
            let to_writer = Mutex::new(Some(to_writer));
            parts.push(Part { table, select, has_huge_rows, to_writer });
            receivers.push((table, batches));
        }
    }
    let cancel = settings.cancel.child();
    let copy = Copy {
        plan,
        parts,
        next: AtomicUsize::new(0),
        written: AtomicUsize::new(0),
        open,
        reader_budget,
        settings,
        cancel: &cancel,
        rate: RateLimiter::new(settings.max_rate),
        buffers: BufferPool::new(BATCH_BYTES * 9 / 8, resources.budget / 8),
    };
    let mut copied = vec![CopiedTable::default(); plan.tables.len()];
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| cancel.run_thread("a reader", || copy.read()));
        }
        cancel.run_thread("the writer", || copy.write(writer, receivers, &mut copied));
    });
    drop(copy);
    cancel.end()?;
    Ok(copied)
}

impl Copy<'_> {
    fn read(&self) -> Result<()> {
        let budget = MemoryBudget::new(self.reader_budget);
        let retry_policy = self.settings.retry_policy(self.cancel);
        // Nobody waits for a lost reader's session: it holds no lock that matters.
        let open = |_| Ok(((self.open)()?, Backend::NONE));
        let mut reader = Reconnecting::new(&InFlight::default(), Box::new(open));
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = self.parts.get(index).filter(|_| !self.cancel.is_cancelled()) else {
                return Ok(());
            };
            let to_writer = lock(&part.to_writer).take();
            let Some(to_writer) = to_writer else { continue };
            while part.has_huge_rows
                && self.written.load(Ordering::Relaxed) < index
                && !self.cancel.is_cancelled()
            {
                std::thread::park_timeout(POLL_INTERVAL);
            }
            let mut sent = 0;
            // The snapshot outlives a lost reader: a new one sees the same rows in the same order.
            retry_policy.retry(|outage| {
                let sent_before = sent;
                let read = reader.try_once(|reader| {
                    self.read_part(reader, part, &budget, &to_writer, &mut sent)
                });
                if sent > sent_before {
                    outage.reset();
                }
                read
            })?;
            if part.has_huge_rows {
                // The driver keeps the memory that the largest row took.
                reader.close_session();
            }
        }
    }

    /// Reads a part, except for its first rows that were `sent` already.
    fn read_part(
        &self,
        reader: &mut TupleReader,
        part: &Part<'_>,
        budget: &Arc<MemoryBudget>,
        to_writer: &Sender<Batch>,
        sent: &mut u64,
    ) -> Result<()> {
        let table = &self.plan.tables[part.table];
        let encodings = encodings(table);
        let limit = BATCH_BYTES.min(self.reader_budget / 4) as usize;
        // The last row of a batch can take more bytes in it than in a tuple.
        let capacity = limit + limit / 8;
        let mut skip = *sent;
        let mut current: Option<(RowBatch, Permit)> = None;
        let mut scratch = Vec::new();
        let permit = |bytes: usize| {
            let permit = budget.take(bytes as u64, self.cancel);
            permit.ok_or_else(Error::interrupted)
        };
        let mut send = |rows: Rows, permit: Permit| {
            *sent += rows.count();
            // A writer that has ended has reported why.
            let _ = to_writer.send((rows, permit));
        };
        let what = format!("cannot read table {}", quote(&table.name));
        reader.kept_tuples(part.select, &what, |tuple, message| {
            if skip > 0 {
                skip -= 1;
                return Ok(());
            }
            let is_full = |(batch, _): &mut (RowBatch, _)| batch.byte_len() + tuple.len() > limit;
            if let Some((batch, permit)) = current.take_if(is_full) {
                send(Rows::Many(batch), permit);
            }
            if tuple.len() > limit {
                send(Rows::One(message.slice_ref(tuple)), permit(tuple.len())?);
                // The next row may be as large: it is not read before this one is written.
                if tuple.len() as u64 > self.reader_budget {
                    drop(permit(tuple.len())?);
                }
                return Ok(());
            }
            let (batch, _) = match &mut current {
                Some(current) => current,
                none => {
                    let permit = permit(limit)?;
                    none.insert((RowBatch::new(self.buffers.take(capacity), capacity), permit))
                }
            };
            decode(table, &encodings, tuple, &mut scratch, |_, value| {
                batch.push(value);
                Ok(())
            })?;
            batch.end_row();
            Ok(())
        })?;
        if let Some((batch, permit)) = current {
            send(Rows::Many(batch), permit);
        }
        Ok(())
    }

    /// The work of the writer: takes the parts in their order.
    fn write(
        &self,
        writer: &FileWriter,
        receivers: Vec<(usize, Receiver<Batch>)>,
        copied: &mut [CopiedTable],
    ) -> Result<()> {
        let mut receivers = receivers.into_iter().enumerate().peekable();
        for (index, table) in self.plan.tables.iter().enumerate() {
            let started = Instant::now();
            let copied = &mut copied[index];
            writer.fill(&table.ddl, |insert| {
                let is_of_table = |(_, (table, _)): &(usize, (usize, _))| *table == index;
                while let Some((part, (_, batches))) = receivers.next_if(is_of_table) {
                    self.written.store(part, Ordering::Relaxed);
                    self.write_part(index, &batches, insert, copied)?;
                }
                Ok(())
            })?;
            copied.seconds = started.elapsed().as_secs_f64();
            if copied.rows != table.rows && !self.cancel.is_cancelled() {
                let name = &table.read.qualified;
                return Err(miscounted(Error::failed, name, copied.rows, table.rows));
            }
        }
        Ok(())
    }

    fn write_part(
        &self,
        table: usize,
        batches: &Receiver<Batch>,
        insert: &mut Insert<'_>,
        copied: &mut CopiedTable,
    ) -> Result<()> {
        while let Some((rows, permit)) = receive(batches, self.cancel) {
            if !self.rate.wait(rows.len() as u64, self.cancel) {
                return Err(Error::interrupted());
            }
            let (count, bytes) = (rows.count(), rows.len() as u64);
            match rows {
                Rows::Many(batch) => {
                    insert.batch(&batch)?;
                    self.buffers.put(batch.into_spare());
                }
                Rows::One(tuple) => {
                    let planned = &self.plan.tables[table];
                    let encodings = encodings(planned);
                    insert
                        .row(|bind| decode(planned, &encodings, &tuple, &mut Vec::new(), bind))?;
                }
            }
            drop(permit);
            copied.rows += count;
            copied.bytes += bytes;
            self.settings.progress.add(table, count, bytes);
        }
        Ok(())
    }
}

impl Rows {
    fn count(&self) -> u64 {
        match self {
            Self::Many(batch) => batch.rows(),
            Self::One(_) => 1,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Many(batch) => batch.byte_len(),
            Self::One(tuple) => tuple.len(),
        }
    }
}

/// The columns in a table's tuples.
fn sent(table: &PlannedTable<ToSqlite>) -> impl Iterator<Item = &PlannedColumn<ToSqlite>> {
    let columns = table.columns.iter().zip(&table.ddl.columns);
    columns.filter(|(_, ddl)| ddl.generated.is_none()).map(|(column, _)| column)
}

fn encodings(table: &PlannedTable<ToSqlite>) -> Vec<Encoding> {
    sent(table).map(|column| column.mapping.encoding).collect()
}

/// Passes the values of a tuple to `each`, with their indexes.
#[inline]
fn decode(
    table: &PlannedTable<ToSqlite>,
    encodings: &[Encoding],
    tuple: &[u8],
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(usize, SqliteValue<'_>) -> Result<()>,
) -> Result<()> {
    let mut fields = fields(tuple);
    for (index, encoding) in encodings.iter().enumerate() {
        match fields.next() {
            Some(Field::Null) => each(index, SqliteValue::Null)?,
            Some(Field::Bytes(field)) => match encoding.decode(field, scratch) {
                Ok(value) => each(index, value)?,
                Err(_) => return Err(undecodable(table, index)),
            },
            _ => return Err(undecodable(table, index)),
        }
    }
    Ok(())
}

fn undecodable(table: &PlannedTable<ToSqlite>, index: usize) -> Error {
    let column = sent(table).nth(index).map_or("", |column| column.name.as_str());
    Error::failed(format!(
        "table {}: a value in column {} cannot be decoded",
        quote(&table.name),
        quote(column)
    ))
    .hint("--cast TABLE.COLUMN=text takes the column as the server prints it")
}

//! Reading all rows of a plan in parallel, and encoding a chunk.

use crate::codec::block::Block;
use crate::codec::row_batch::RowBatch;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::RowAddress;
use crate::schema::chunk::Chunk;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::open::Source;
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A unit of reading.
enum Unit {
    /// A chunk, by its index in the table.
    Chunk { table: usize, chunk: usize },
    /// A table without a key, in one scan.
    Table { table: usize },
}

/// Reads all rows as the copy reads them, with `threads` threads. Each thread creates a `state` and
/// calls `each` with it for every chunk. Errors: the source cannot be read, a closure failed, or
/// `cancel` was cancelled.
pub(crate) fn walk<S>(
    (plan, source): (&Plan<ToPostgres>, &Source),
    threads: usize,
    cancel: &CancelScope,
    state: impl Fn(usize) -> Result<S> + Sync,
    each: impl Fn(&mut S, usize, &Chunk, &RowBatch) -> Result<()> + Sync,
) -> Result<()> {
    let queries: Arc<[TableQuery]> =
        plan.tables.iter().map(|table| table.read.query.clone()).collect();
    let units = units(plan);
    let (next, cancel) = (AtomicUsize::new(0), cancel.child());
    let read = |number| -> Result<()> {
        let mut state = state(number)?;
        let mut reader = ChunkReader::new(source.connect_to_pages()?, Arc::clone(&queries));
        let mut spare = BytesMut::new();
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            if cancel.is_cancelled() {
                break;
            }
            match *unit {
                Unit::Chunk { table, chunk } => {
                    let chunk = &plan.tables[table].read.chunks[chunk];
                    let mut rows = RowBatch::new(spare, chunk.bytes as usize);
                    reader.read(table, chunk, &mut rows)?;
                    each(&mut state, table, chunk, &rows)?;
                    spare = rows.into_spare();
                }
                Unit::Table { table } => {
                    let new = |chunk: &Chunk| match cancel.is_cancelled() {
                        true => Err(Error::interrupted()),
                        false => Ok(RowBatch::new(BytesMut::new(), chunk.bytes as usize)),
                    };
                    let done = |chunk: &Chunk, rows| each(&mut state, table, chunk, &rows);
                    reader.read_in_order(table, &plan.tables[table].read.chunks, new, done)?;
                }
            }
        }
        Ok(())
    };
    cancel.clone().run_each(0..threads, "a reader", read)
}

/// The units of all tables: tables that only one thread can read first, then by size.
fn units(plan: &Plan<ToPostgres>) -> Vec<Unit> {
    let mut tables: Vec<usize> = (0..plan.tables.len()).collect();
    let in_order = |table: usize| plan.tables[table].read.query.address == RowAddress::Ordinal;
    tables.sort_by_key(|&table| std::cmp::Reverse((in_order(table), plan.tables[table].bytes)));
    let units = tables.into_iter().flat_map(|table| match in_order(table) {
        true => vec![Unit::Table { table }],
        false => {
            let chunks = 0..plan.tables[table].read.chunks.len();
            chunks.map(|chunk| Unit::Chunk { table, chunk }).collect()
        }
    });
    units.collect()
}

/// Encodes a chunk.
pub(crate) fn block_of(
    plan: &Plan<ToPostgres>,
    table: usize,
    chunk: &Chunk,
    rows: &RowBatch,
    spare: BytesMut,
) -> Result<Block> {
    let planned = &plan.tables[table];
    planned.read.layout.encode(table, chunk.number, rows, false, spare).map_err(|unsendable| {
        let name = quote(&planned.name);
        Error::failed(format!("table {name}: {} (chunk {})", unsendable.misfit, chunk.number))
            .hint("the source changed while it was measured; stop every process that writes to it")
    })
}

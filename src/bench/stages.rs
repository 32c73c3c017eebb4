//! The stages of this program alone: reading, reading and encoding, hashing. No server has a part.

use crate::bench::blocks::{Blocks, ReadyBlock};
use crate::codec::block::HEADER;
use crate::codec::digest::Digest;
use crate::codec::row_batch::RowBatch;
use crate::codec::tuple;
use crate::codec::tuple::NextField;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::schema::RowAddress;
use crate::schema::chunk::Chunk;
use crate::schema::names::quote;
use crate::sqlite::Source;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::read::query::TableQuery;
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a thread reads next.
enum Piece {
    /// One chunk, by its place in the table's list.
    Chunk { table: usize, chunk: usize },
    /// A table whose rows have no key, in one scan.
    Whole { table: usize },
}

/// Reads all rows as the copy reads them, with so many threads. Each thread makes a state of its
/// own and is given each chunk's rows with it.
///
/// # Errors
/// The source cannot be read, those of the two closures, or that `stop` was set.
pub(crate) fn walk<S>(
    (plan, source): (&Plan, &Source),
    threads: usize,
    stop: &AtomicBool,
    state: impl Fn(usize) -> Result<S> + Sync,
    each: impl Fn(&mut S, usize, &Chunk, &RowBatch) -> Result<()> + Sync,
) -> Result<()> {
    let queries: Arc<[TableQuery]> = plan.tables.iter().map(|table| table.query.clone()).collect();
    let pieces = pieces(plan);
    let (next, halt) = (AtomicUsize::new(0), CancelScope::new(stop));
    let read = |number| -> Result<()> {
        let mut state = state(number)?;
        let mut reader = ChunkReader::new(source.connect_to_pages()?, Arc::clone(&queries));
        let mut spare = BytesMut::new();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            if halt.is_cancelled() {
                break;
            }
            match *piece {
                Piece::Chunk { table, chunk } => {
                    let chunk = &plan.tables[table].chunks[chunk];
                    let mut rows = RowBatch::new(spare, chunk.bytes as usize);
                    reader.read(table, chunk, &mut rows)?;
                    each(&mut state, table, chunk, &rows)?;
                    spare = rows.into_spare();
                }
                Piece::Whole { table } => {
                    let new = |chunk: &Chunk| match halt.is_cancelled() {
                        true => Err(Error::interrupted()),
                        false => Ok(RowBatch::new(BytesMut::new(), chunk.bytes as usize)),
                    };
                    let done = |chunk: &Chunk, rows| each(&mut state, table, chunk, &rows);
                    reader.read_in_order(table, &plan.tables[table].chunks, new, done)?;
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (halt, read) = (&halt, &read);
            scope.spawn(move || halt.run_thread("a reader", || read(number)));
        }
    });
    halt.end()
}

/// The pieces of all tables: what only one thread can read first, then the largest table's.
fn pieces(plan: &Plan) -> Vec<Piece> {
    let mut tables: Vec<usize> = (0..plan.tables.len()).collect();
    let in_order = |table: usize| plan.tables[table].query.address == RowAddress::Ordinal;
    tables.sort_by_key(|&table| std::cmp::Reverse((in_order(table), plan.tables[table].bytes)));
    let pieces = tables.into_iter().flat_map(|table| match in_order(table) {
        true => vec![Piece::Whole { table }],
        false => {
            let chunks = 0..plan.tables[table].chunks.len();
            chunks.map(|chunk| Piece::Chunk { table, chunk }).collect()
        }
    });
    pieces.collect()
}

/// Reads everything, and nothing more.
pub(crate) fn scan(subject: (&Plan, &Source), threads: usize, stop: &AtomicBool) -> Result<()> {
    walk(subject, threads, stop, |_| Ok(()), |(), _, _, _| Ok(()))
}

/// Reads everything and makes blocks of it, which are thrown away.
///
/// # Errors
/// As for [`walk`]; and a value that the plan found to fit does not.
pub(crate) fn encode(subject: (&Plan, &Source), threads: usize, stop: &AtomicBool) -> Result<()> {
    let new = |_| Ok(BytesMut::new());
    walk(subject, threads, stop, new, |spare, table, chunk, rows| {
        let block = block_of(subject.0, table, chunk, rows, std::mem::take(spare))?;
        *spare = block.data.try_into_mut().unwrap_or_default();
        Ok(())
    })
}

/// A chunk's block.
pub(crate) fn block_of(
    plan: &Plan,
    table: usize,
    chunk: &Chunk,
    rows: &RowBatch,
    spare: BytesMut,
) -> Result<crate::codec::block::Block> {
    let planned = &plan.tables[table];
    planned.layout.encode(table, chunk.number, rows, false, spare).map_err(|unsendable| {
        let name = quote(&planned.name);
        Error::failed(format!("table {name}: {} (chunk {})", unsendable.misfit, chunk.number))
            .hint("the source changed while it was measured; stop what writes to it")
    })
}

/// Hashes every row of the ready blocks.
///
/// # Errors
/// The blocks cannot be read, or are not what they were; or `stop` was set.
pub(crate) fn hash(plan: &Plan, blocks: &Blocks, threads: usize, stop: &AtomicBool) -> Result<()> {
    let (next, halt) = (AtomicUsize::new(0), CancelScope::new(stop));
    let work = || -> Result<()> {
        let (mut data, mut scratch) = (Vec::new(), BytesMut::new());
        while let Some(ready) = blocks.list().get(next.fetch_add(1, Ordering::Relaxed)) {
            if halt.is_cancelled() {
                break;
            }
            blocks.read(ready, &mut data)?;
            if digest_of(plan, ready, &data, &mut scratch) != ready.digest {
                return Err(Error::failed("the temporary files are not what was written to them"));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| halt.run_thread("a thread that hashes", work));
        }
    });
    halt.end()
}

fn digest_of(plan: &Plan, ready: &ReadyBlock, data: &[u8], scratch: &mut BytesMut) -> Digest {
    let layout = &plan.tables[ready.table].layout;
    let mut digest = Digest::default();
    let mut rest = data.get(HEADER.len()..).unwrap_or_default();
    while let NextField::Tuple(length) = tuple::next(rest) {
        let (tuple, after) = rest.split_at(length);
        digest.add_row(layout.canonical(tuple, scratch));
        rest = after;
    }
    digest
}

//! The rows of both sides as canonical tuples.

use crate::codec::encode::heap_page;
use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::tuple::UNFIT;
use crate::error::{Error, Result};
use crate::postgres::copy_out::TupleReader;
use crate::postgres::relation::Relation;
use crate::schema::RowAddress;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::{StoredRow, scan};
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::compared_table::ComparedTable;
use bytes::{BufMut, BytesMut};
use std::ops::ControlFlow;

/// Buffers larger than this are freed after the row that needed them.
const MAX_RETAINED_BYTES: usize = 8 << 20;

#[inline]
fn release(buffer: &mut BytesMut) {
    if buffer.capacity() > MAX_RETAINED_BYTES {
        *buffer = BytesMut::new();
    }
}

/// Statistics of the values of one table that were read from SQLite.
#[derive(Debug, Clone, Default)]
pub(crate) struct SqliteStats {
    pub(crate) skipped: u64,
    /// Values that are equal only after a conversion, and those that are equal only without their
    /// digits beyond microseconds, by column.
    pub(crate) converted: Vec<[u64; 2]>,
    /// Misfits, by column, with the reason of the first.
    pub(crate) misfits: Vec<(u64, Option<Misfit>)>,
}

impl SqliteStats {
    pub(crate) fn new(width: usize) -> Self {
        Self { skipped: 0, converted: vec![[0; 2]; width], misfits: vec![(0, None); width] }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.skipped += other.skipped;
        for (mine, theirs) in self.converted.iter_mut().zip(&other.converted) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        for (mine, theirs) in self.misfits.iter_mut().zip(&other.misfits) {
            mine.0 += theirs.0;
            mine.1 = mine.1.or(theirs.1);
        }
    }
}

pub(crate) struct SqliteRows<'a> {
    table: &'a ComparedTable,
    tuple: BytesMut,
    canonical: BytesMut,
    pub(crate) stats: SqliteStats,
}

impl<'a> SqliteRows<'a> {
    pub(crate) fn new(table: &'a ComparedTable) -> Self {
        Self {
            table,
            tuple: BytesMut::new(),
            canonical: BytesMut::new(),
            stats: SqliteStats::new(table.columns.len()),
        }
    }

    /// Passes each row of a range to `each`: the rowid (or the row's number in the range, from 1,
    /// where there is no rowid), the row and its canonical tuple.
    pub(crate) fn read(
        &mut self,
        connection: &SourceConnection,
        range: &KeyRange,
        mut each: impl FnMut(i64, &StoredRow<'_>, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let Self { table, tuple, canonical, stats } = self;
        let table: &ComparedTable = table;
        let query = &table.query;
        let casts = table.layout.encoders();
        let has_rowid = matches!(query.address, RowAddress::Integer { .. });
        let mut number = 0;
        scan(connection, query, range, |row| {
            number += 1;
            tuple.clear();
            tuple.put_i16(casts.len() as i16);
            let mut fits = true;
            for (field, raw) in row.enumerate() {
                let start = tuple.len();
                match casts[field].encode(raw, tuple) {
                    Ok(Fidelity::Exact) => {}
                    Ok(Fidelity::Converted) => stats.converted[field][0] += 1,
                    Ok(Fidelity::Rounded) => stats.converted[field][1] += 1,
                    Err(misfit) => {
                        tuple.truncate(start);
                        tuple.put_i32(UNFIT);
                        fits = false;
                        let (count, reason) = &mut stats.misfits[field];
                        *count += 1;
                        reason.get_or_insert(misfit);
                    }
                }
            }
            if table.skips_misfits && !(fits && heap_page::fits(casts, tuple)) {
                stats.skipped += 1;
                return Ok(ControlFlow::Continue(()));
            }
            let rowid = if has_rowid { row.integer_key() } else { number };
            let next = each(rowid, row, table.layout.canonical(tuple, canonical));
            release(tuple);
            release(canonical);
            next
        })
    }
}

/// The place of a row in PostgreSQL, which is valid as long as the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tid {
    pub(crate) relation: u32,
    /// The OID of the table that stores it: the relation's own, or that of a child table.
    pub(crate) table: u32,
    pub(crate) block: u32,
    /// The row's number in the block.
    pub(crate) offset: u16,
}

impl Tid {
    /// The condition that finds the row.
    pub(crate) fn condition(self) -> String {
        let Self { table, block, offset, .. } = self;
        format!("(ctid = '({block},{offset})'::pg_catalog.tid AND tableoid = '{table}'::oid)")
    }
}

pub(crate) struct PostgresRows<'a> {
    table: &'a ComparedTable,
    canonical: BytesMut,
    stripped: BytesMut,
}

impl<'a> PostgresRows<'a> {
    pub(crate) fn new(table: &'a ComparedTable) -> Self {
        Self { table, canonical: BytesMut::new(), stripped: BytesMut::new() }
    }

    /// Passes each row's canonical tuple to `each`.
    pub(crate) fn read(
        &mut self,
        client: &mut TupleReader,
        relation: &Relation,
        condition: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self { table, canonical, .. } = self;
        let select = table.select(relation, false, condition);
        client.tuples(&select, &cannot_read(table), |tuple| {
            let result = each(table.layout.canonical(tuple, canonical));
            release(canonical);
            result
        })
    }

    /// Like [`PostgresRows::read`], with the ctid of each row.
    pub(crate) fn read_with_places(
        &mut self,
        client: &mut TupleReader,
        (number, relation): (usize, &Relation),
        condition: &str,
        mut each: impl FnMut(Tid, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self { table, canonical, stripped } = self;
        let select = table.select(relation, true, condition);
        let what = cannot_read(table);
        let width = table.columns.len() as i16;
        client.tuples(&select, &what, |tuple| {
            // The last fields are the tableoid and the ctid (a block and an offset), each with a
            // length word.
            let parts = tuple.split_last_chunk::<18>();
            let Some((row, [0, 0, 0, 4, t1, t2, t3, t4, 0, 0, 0, 6, b1, b2, b3, b4, o1, o2])) =
                parts
            else {
                return Err(
                    Error::failed(&what).caused_by("the server sent a row without its place")
                );
            };
            stripped.clear();
            stripped.put_i16(width);
            stripped.put_slice(row.get(2..).unwrap_or_default());
            let tid = Tid {
                relation: number as u32,
                table: u32::from_be_bytes([*t1, *t2, *t3, *t4]),
                block: u32::from_be_bytes([*b1, *b2, *b3, *b4]),
                offset: u16::from_be_bytes([*o1, *o2]),
            };
            let result = each(tid, table.layout.canonical(stripped, canonical));
            release(stripped);
            release(canonical);
            result
        })
    }
}

fn cannot_read(table: &ComparedTable) -> String {
    format!("cannot read table {} of PostgreSQL", quote(&table.name))
}

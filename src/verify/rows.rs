//! The rows of both sides as canonical tuples.

use crate::codec::encode::column_encoder::Fidelity;
use crate::codec::encode::column_encoder::Misfit;
use crate::codec::encode::heap_page;
use crate::codec::tuple::UNFIT;
use crate::error::{Error, Result};
use crate::postgres::copy_out::{Relation, TupleReader};
use crate::schema::RowAddress;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::{Next, StoredRow, scan};
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::table_pair::ComparedTable;
use bytes::{BufMut, BytesMut};

/// Buffers larger than this are given back after the row that needed them.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// What was seen of a table while its rows were encoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceStats {
    /// Rows that are no part of the comparison.
    pub(crate) left_out: u64,
    /// Values that are equal after a conversion only, by column.
    pub(crate) converted: Vec<u64>,
    /// Values that do not fit, by column, with the reason of the first.
    pub(crate) unfit: Vec<(u64, Option<Misfit>)>,
}

impl SourceStats {
    /// Nothing, of `width` columns.
    pub(crate) fn new(width: usize) -> Self {
        Self { left_out: 0, converted: vec![0; width], unfit: vec![(0, None); width] }
    }

    /// Adds what another part of the table gave.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.left_out += other.left_out;
        for (mine, theirs) in self.converted.iter_mut().zip(&other.converted) {
            *mine += theirs;
        }
        for (mine, theirs) in self.unfit.iter_mut().zip(&other.unfit) {
            mine.0 += theirs.0;
            mine.1 = mine.1.or(theirs.1);
        }
    }
}

/// Reads rows of the source.
pub(crate) struct SourceRows<'a> {
    subject: &'a ComparedTable,
    tuple: BytesMut,
    canonical: BytesMut,
    /// What was seen so far.
    pub(crate) seen: SourceStats,
}

impl<'a> SourceRows<'a> {
    /// Rows of `subject`.
    pub(crate) fn new(subject: &'a ComparedTable) -> Self {
        Self {
            subject,
            tuple: BytesMut::new(),
            canonical: BytesMut::new(),
            seen: SourceStats::new(subject.columns.len()),
        }
    }

    /// Hands each row of a range to `each`: its place (the rowid, or its number in the range from
    /// 1 where there is none), the row itself and its canonical tuple.
    pub(crate) fn read(
        &mut self,
        connection: &SourceConnection,
        range: &KeyRange,
        mut each: impl FnMut(i64, &StoredRow<'_>, &[u8]) -> Result<Next>,
    ) -> Result<()> {
        let Self { subject, tuple, canonical, seen } = self;
        let subject: &ComparedTable = subject;
        let query = &subject.query;
        let casts = subject.layout.casts();
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
                    Ok(Fidelity::Converted) => seen.converted[field] += 1,
                    Err(misfit) => {
                        tuple.truncate(start);
                        tuple.put_i32(UNFIT);
                        fits = false;
                        let (count, reason) = &mut seen.unfit[field];
                        *count += 1;
                        reason.get_or_insert(misfit);
                    }
                }
            }
            if subject.leave_out && !(fits && heap_page::fits(casts, tuple)) {
                seen.left_out += 1;
                return Ok(Next::Row);
            }
            let place = if has_rowid { row.integer_key() } else { number };
            let next = each(place, row, subject.layout.canonical(tuple, canonical));
            for buffer in [&mut *tuple, &mut *canonical] {
                if buffer.capacity() > MAX_KEPT_BYTES {
                    *buffer = BytesMut::new();
                }
            }
            next
        })
    }
}

/// The place of a row in the target, which holds as long as the snapshot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tid {
    /// Which of the table's relations.
    pub(crate) relation: u32,
    /// The block.
    pub(crate) block: u32,
    /// The row in the block.
    pub(crate) offset: u16,
}

/// Reads rows of the target.
pub(crate) struct TargetRows<'a> {
    subject: &'a ComparedTable,
    canonical: BytesMut,
    stripped: BytesMut,
}

impl<'a> TargetRows<'a> {
    /// Rows of `subject`.
    pub(crate) fn new(subject: &'a ComparedTable) -> Self {
        Self { subject, canonical: BytesMut::new(), stripped: BytesMut::new() }
    }

    /// Hands each row's canonical tuple to `each`.
    pub(crate) fn read(
        &mut self,
        client: &mut TupleReader,
        relation: &Relation,
        condition: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self { subject, canonical, .. } = self;
        let select = subject.select(relation, false, condition);
        client.tuples(&select, &cannot_read(subject), |tuple| {
            let result = each(subject.layout.canonical(tuple, canonical));
            if canonical.capacity() > MAX_KEPT_BYTES {
                *canonical = BytesMut::new();
            }
            result
        })
    }

    /// As [`TargetRows::read`], with the place of each row.
    pub(crate) fn read_with_places(
        &mut self,
        client: &mut TupleReader,
        (number, relation): (usize, &Relation),
        condition: &str,
        mut each: impl FnMut(Tid, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self { subject, canonical, stripped } = self;
        let select = subject.select(relation, true, condition);
        let what = cannot_read(subject);
        let width = subject.columns.len() as i16;
        client.tuples(&select, &what, |tuple| {
            // The last field is the place: a length word, a block and an offset.
            let parts = tuple.split_last_chunk::<10>();
            let Some((row, [0, 0, 0, 6, b1, b2, b3, b4, o1, o2])) = parts else {
                return Err(
                    Error::failed(&what).caused_by("the server gave a row without its place")
                );
            };
            stripped.clear();
            stripped.put_i16(width);
            stripped.put_slice(row.get(2..).unwrap_or_default());
            let tid = Tid {
                relation: number as u32,
                block: u32::from_be_bytes([*b1, *b2, *b3, *b4]),
                offset: u16::from_be_bytes([*o1, *o2]),
            };
            let result = each(tid, subject.layout.canonical(stripped, canonical));
            for buffer in [&mut *stripped, &mut *canonical] {
                if buffer.capacity() > MAX_KEPT_BYTES {
                    *buffer = BytesMut::new();
                }
            }
            result
        })
    }
}

fn cannot_read(subject: &ComparedTable) -> String {
    format!("cannot read table {} of PostgreSQL", quote(&subject.name))
}

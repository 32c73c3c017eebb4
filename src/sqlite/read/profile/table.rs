//! The profile of a table, and the chunks that it is cut into.

use crate::schema::RowAddress;
use crate::schema::chunk::{Chunk, KeyRange, KeyValue};
use crate::sqlite::read::profile::column::{ColumnProfile, ColumnProfileSpec};
use crate::sqlite::read::profile::unique::{IndexProfile, UniqueIndexSpec};
use crate::sqlite::read::query::TableQuery;

/// The longest key that may bound a chunk, in bytes: bounds are kept in memory and in the ledger.
pub(crate) const MAX_BOUND_BYTES: usize = 4096;

/// What to profile of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableProfileSpec {
    pub(crate) query: TableQuery,
    /// The columns, in the order of the query.
    pub(crate) columns: Vec<ColumnProfileSpec>,
    /// The unique indexes.
    pub(crate) unique: Vec<UniqueIndexSpec>,
}

/// The profile of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableProfile {
    pub(crate) rows: u64,
    /// The size of all rows as tuples, before any conversion.
    pub(crate) bytes: u64,
    /// The size of the largest row.
    pub(crate) largest_row: u64,
    /// The columns, in the order of the query.
    pub(crate) columns: Vec<ColumnProfile>,
    pub(crate) segments: Vec<Segment>,
    /// SQLite searched the rows by their keys, and not the reader of pages, which checks the order of
    /// the keys.
    pub(crate) searched: bool,
    /// The unique indexes.
    pub(crate) unique: Vec<IndexProfile>,
}

/// A segment: consecutive rows in storage order. Chunks are built from segments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    /// The first and the last integer key, in a table with an integer key.
    pub(crate) keys: (i64, i64),
    /// The last row's key, in a table with a composite key.
    pub(crate) through: Option<Vec<KeyValue>>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl TableProfile {
    /// An empty profile.
    pub(crate) fn new(spec: &TableProfileSpec) -> Self {
        let columns = spec.columns.iter().map(ColumnProfile::new).collect();
        let unique = vec![IndexProfile::default(); spec.unique.len()];
        Self { columns, unique, ..Self::default() }
    }

    /// Adds the profile of another part of the table.
    pub(crate) fn absorb(&mut self, part: Self) {
        self.rows += part.rows;
        self.bytes += part.bytes;
        self.largest_row = self.largest_row.max(part.largest_row);
        for (mine, theirs) in self.columns.iter_mut().zip(&part.columns) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.unique.iter_mut().zip(&part.unique) {
            mine.keys += theirs.keys;
        }
        self.segments.extend(part.segments);
        self.searched |= part.searched;
    }

    /// How the rows are addressed: as `preferred`, or by row number if a key that bounds a chunk is
    /// too long.
    pub(crate) fn address(&self, preferred: RowAddress) -> RowAddress {
        let long =
            |key: &Vec<KeyValue>| key.iter().map(KeyValue::len).sum::<usize>() > MAX_BOUND_BYTES;
        let mut bounds = self.segments.iter().filter_map(|segment| segment.through.as_ref());
        if matches!(preferred, RowAddress::Key { .. }) && bounds.any(long) {
            return RowAddress::Ordinal;
        }
        preferred
    }

    /// Cuts the table into chunks of about `chunk_bytes`, in storage order. The first and the last
    /// chunk have open ends.
    pub(crate) fn chunks(&mut self, address: &RowAddress, chunk_bytes: u64) -> Vec<Chunk> {
        if matches!(address, RowAddress::Integer { .. }) {
            self.segments.sort_unstable_by_key(|segment| segment.keys.0);
        }
        let mut merged: Vec<Segment> = Vec::new();
        for segment in self.segments.drain(..) {
            match merged.last_mut() {
                Some(last) if last.bytes + segment.bytes <= chunk_bytes => {
                    last.keys.1 = segment.keys.1;
                    last.through = segment.through;
                    last.rows += segment.rows;
                    last.bytes += segment.bytes;
                }
                _ => merged.push(segment),
            }
        }
        let mut chunks = Vec::with_capacity(merged.len());
        let mut after = None;
        let mut skip = 0;
        let count = merged.len();
        for (index, segment) in merged.into_iter().enumerate() {
            let Segment { keys: (first, last), through, rows, bytes } = segment;
            let range = match address {
                RowAddress::Integer { .. } => KeyRange::Integer {
                    first: if index == 0 { i64::MIN } else { first },
                    last: if index + 1 == count { i64::MAX } else { last },
                },
                RowAddress::Key { .. } => {
                    let through = through.filter(|_| index + 1 < count);
                    KeyRange::Key { after: std::mem::replace(&mut after, through.clone()), through }
                }
                RowAddress::Ordinal => KeyRange::Ordinal { skip, rows },
            };
            skip += rows;
            chunks.push(Chunk { number: index as u32 + 1, range, rows, bytes });
        }
        chunks
    }
}

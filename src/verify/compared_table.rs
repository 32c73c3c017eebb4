//! One table as it is compared, with its names and forms on both sides.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::plan::model::PlannedTable;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::relation::Relation;
use crate::schema::RowAddress;
use crate::schema::chunk::{Chunk, KeyRange};
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::sqlite::read::query::TableQuery;

pub(crate) struct ComparedTable {
    /// The name in reports: the source's.
    pub(crate) name: String,
    /// The qualified name in PostgreSQL.
    pub(crate) postgres: String,
    /// The query of SQLite's rows: all columns that both sides have.
    pub(crate) query: TableQuery,
    pub(crate) layout: TupleLayout,
    pub(crate) chunks: Vec<Chunk>,
    /// The size of all rows, in bytes of tuples.
    pub(crate) bytes: u64,
    /// The largest row of each chunk in bytes, or of the whole table (one element); empty where
    /// unknown.
    pub(crate) max_row_bytes: Vec<u64>,
    /// The columns, in the order of the tuple.
    pub(crate) columns: Vec<ComparedColumn>,
    /// The tuple's indexes of the columns that identify a row; empty if none do.
    pub(crate) key: Vec<usize>,
    /// The tuple's index of an integer key by which both sides can be read in ranges.
    pub(crate) integer_key: Option<usize>,
    /// Rows of SQLite with misfits are skipped, as the copy skipped them.
    pub(crate) skips_misfits: bool,
    /// The number of skipped rows, as far as it is known before they are read.
    pub(crate) rows_left_out: u64,
    /// The rows that the server counted in PostgreSQL's table, if the plan asked it.
    pub(crate) counted: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct ComparedColumn {
    pub(crate) sqlite: String,
    pub(crate) postgres: String,
    /// The expression that is read from PostgreSQL, where that is not the plain column.
    pub(crate) read: Option<String>,
}

impl ComparedTable {
    /// A planned table with all its columns, also those that the server computes.
    pub(crate) fn from_plan(table: &PlannedTable<ToPostgres>) -> Self {
        let columns: Vec<ComparedColumn> = table
            .columns
            .iter()
            .map(|column| ComparedColumn {
                sqlite: column.name.clone(),
                postgres: column.target_name.clone(),
                read: None,
            })
            .collect();
        let casts = table.columns.iter().map(|column| column.mapping).collect();
        let mut query = table.read.query.clone();
        query.columns = columns.iter().map(|column| column.sqlite.clone()).collect();
        let keys: Vec<&[String]> =
            table.finish.keys.iter().map(|key| key.columns.as_slice()).collect();
        let mut compared = Self {
            name: table.name.clone(),
            postgres: table.ddl.qualified(),
            query,
            layout: TupleLayout::new(casts),
            chunks: table.read.chunks.clone(),
            bytes: table.bytes,
            max_row_bytes: table.read.chunks.iter().map(|chunk| chunk.bytes).collect(),
            columns,
            key: Vec::new(),
            integer_key: None,
            skips_misfits: !table.rejected.is_empty(),
            rows_left_out: table.rows_rejected(),
            counted: None,
        };
        compared.choose_key(&keys);
        compared
    }

    /// Chooses the columns that identify a row: the integer key if it is a column sent as bigint,
    /// else the first of `keys` (unique in SQLite) whose columns are all compared.
    pub(crate) fn choose_key(&mut self, keys: &[&[String]]) {
        let index = |name: &String| self.columns.iter().position(|column| column.sqlite == *name);
        if let RowAddress::Integer { column } = &self.query.address
            && let Some(index) = index(column)
            && self.layout.encoders()[index].encoding.is(ColumnType::BigInt)
        {
            self.integer_key = Some(index);
            self.key = vec![index];
            return;
        }
        let all = |key: &&[String]| key.iter().map(index).collect::<Option<Vec<usize>>>();
        self.key = keys.iter().find_map(all).unwrap_or_default();
    }

    /// The ranges in which SQLite is read. Together they hold every possible row, not only those
    /// that the plan has seen.
    pub(crate) fn ranges(&self) -> Vec<KeyRange> {
        if self.chunks.is_empty() || self.query.address == RowAddress::Ordinal {
            return vec![self.whole()];
        }
        let mut ranges: Vec<KeyRange> = self.chunks.iter().map(|c| c.range.clone()).collect();
        let first_keys = self.first_keys();
        for (index, range) in ranges.iter_mut().enumerate() {
            if let KeyRange::Integer { first, last } = range {
                if index == 0 {
                    *first = i64::MIN;
                }
                *last = first_keys.get(index + 1).map_or(i64::MAX, |next| next - 1);
            }
        }
        ranges
    }

    /// The largest row of a range of SQLite (`None`: of the whole table) in bytes; 0 if unknown.
    pub(crate) fn max_row_bytes_in(&self, range: Option<usize>) -> u64 {
        let by_range = self.max_row_bytes.len() == self.chunks.len()
            && self.query.address != RowAddress::Ordinal;
        let own = range.filter(|_| by_range).and_then(|range| self.max_row_bytes.get(range));
        own.or_else(|| self.max_row_bytes.iter().max()).copied().unwrap_or(0)
    }

    /// The first key of each chunk, for tables with an integer key.
    pub(crate) fn first_keys(&self) -> Vec<i64> {
        let first = |chunk: &Chunk| match chunk.range {
            KeyRange::Integer { first, .. } => Some(first),
            _ => None,
        };
        self.chunks.iter().filter_map(first).collect()
    }

    pub(crate) fn whole(&self) -> KeyRange {
        match self.query.address {
            RowAddress::Integer { .. } => KeyRange::Integer { first: i64::MIN, last: i64::MAX },
            RowAddress::Key { .. } => KeyRange::Key { after: None, through: None },
            RowAddress::Ordinal => KeyRange::Ordinal { skip: 0, rows: 0 },
        }
    }

    /// A query of PostgreSQL's rows as tuples, followed by their places if wanted.
    pub(crate) fn select(&self, relation: &Relation, place: bool, condition: &str) -> String {
        let mut list: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.read.clone().unwrap_or_else(|| quote(&column.postgres)))
            .collect();
        if place {
            list.push("tableoid, ctid".to_owned());
        }
        format!("SELECT {} FROM {} WHERE {condition}", list.join(", "), relation.from)
    }
}

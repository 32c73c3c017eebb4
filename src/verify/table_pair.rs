//! A subject: one table as it is compared, with what is known of it on both sides.

use crate::codec::encode::column_encoder::Encoding;
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::plan::PlannedTable;
use crate::postgres::copy_out::Relation;
use crate::schema::RowAddress;
use crate::schema::chunk::{Chunk, KeyRange};
use crate::schema::names::quote;
use crate::sqlite::read::query::TableQuery;

/// One table to compare.
pub(crate) struct ComparedTable {
    /// Its name in the source.
    pub(crate) name: String,
    /// Its qualified name in the target.
    pub(crate) target: String,
    /// How it is read from the source: all columns that both sides have.
    pub(crate) query: TableQuery,
    /// What its tuples are made of.
    pub(crate) layout: TupleLayout,
    /// Its chunks in the source.
    pub(crate) chunks: Vec<Chunk>,
    /// Its size in the source, in bytes of tuples.
    pub(crate) bytes: u64,
    /// The most bytes that a row can have in each of the source's ranges, or in all of the table
    /// where that is known only; empty where nothing is.
    pub(crate) widest: Vec<u64>,
    /// The columns, in the order of the tuple.
    pub(crate) columns: Vec<SubjectColumn>,
    /// The places in the tuple of columns that name a row of the source; empty where none do.
    pub(crate) key: Vec<usize>,
    /// The place in the tuple of an integer key by which both sides are read in ranges.
    pub(crate) integer_key: Option<usize>,
    /// Rows with values that do not fit are no part of the comparison, as they were left out.
    pub(crate) leave_out: bool,
    /// Rows that were left out, as far as it is known before they are read.
    pub(crate) rows_left_out: u64,
}

/// One column of a subject.
#[derive(Debug, Clone)]
pub(crate) struct SubjectColumn {
    /// Its name in the source.
    pub(crate) name: String,
    /// Its name in the target.
    pub(crate) target_name: String,
    /// It is compared as the text that the server makes of it.
    pub(crate) as_text: bool,
    /// What is read in its place in the target, where that is not the column itself.
    pub(crate) read: Option<String>,
}

impl ComparedTable {
    /// A table of a plan, with all its columns: also those that the server computed.
    pub(crate) fn of_plan(table: &PlannedTable) -> Self {
        let columns: Vec<SubjectColumn> = table
            .columns
            .iter()
            .map(|column| SubjectColumn {
                name: column.name.clone(),
                target_name: column.target_name.clone(),
                as_text: false,
                read: None,
            })
            .collect();
        let casts = table.columns.iter().map(|column| column.decision.cast).collect();
        let mut query = table.query.clone();
        query.columns = columns.iter().map(|column| column.name.clone()).collect();
        let keys: Vec<&[String]> = table.keys.iter().map(|key| key.columns.as_slice()).collect();
        let mut subject = Self {
            name: table.name.clone(),
            target: table.qualified(),
            query,
            layout: TupleLayout::new(casts),
            chunks: table.chunks.clone(),
            bytes: table.bytes,
            widest: table.chunks.iter().map(|chunk| chunk.bytes).collect(),
            columns,
            key: Vec::new(),
            integer_key: None,
            leave_out: !table.rejected.is_empty(),
            rows_left_out: table.rows_rejected(),
        };
        subject.choose_key(&keys);
        subject
    }

    /// Chooses what names a row: the integer key if it is a column that is sent as one, else the
    /// first of `keys` (unique in the source) whose columns are all compared.
    pub(crate) fn choose_key(&mut self, keys: &[&[String]]) {
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        if let RowAddress::Integer { column } = &self.query.address
            && let Some(place) = place(column)
            && self.layout.casts()[place].form == Encoding::BigInt
        {
            self.integer_key = Some(place);
            self.key = vec![place];
            return;
        }
        let all = |key: &&[String]| key.iter().map(place).collect::<Option<Vec<usize>>>();
        self.key = keys.iter().find_map(all).unwrap_or_default();
    }

    /// The ranges in which the source is read. Together they hold every row there can be, not
    /// only those that the plan has seen.
    pub(crate) fn ranges(&self) -> Vec<KeyRange> {
        if self.chunks.is_empty() || self.query.address == RowAddress::Ordinal {
            return vec![self.whole()];
        }
        let mut ranges: Vec<KeyRange> = self.chunks.iter().map(|c| c.range.clone()).collect();
        let firsts = self.firsts();
        for (place, range) in ranges.iter_mut().enumerate() {
            if let KeyRange::Integer { first, last } = range {
                if place == 0 {
                    *first = i64::MIN;
                }
                *last = firsts.get(place + 1).map_or(i64::MAX, |next| next - 1);
            }
        }
        ranges
    }

    /// The most bytes that a row can have in the source's range `place`, or in all of the table; 0
    /// where nobody knows.
    pub(crate) fn widest_in(&self, place: Option<usize>) -> u64 {
        let by_range =
            self.widest.len() == self.chunks.len() && self.query.address != RowAddress::Ordinal;
        let here = place.filter(|_| by_range).and_then(|place| self.widest.get(place));
        here.or_else(|| self.widest.iter().max()).copied().unwrap_or(0)
    }

    /// The first key of each chunk, for tables with an integer key.
    pub(crate) fn firsts(&self) -> Vec<i64> {
        let first = |chunk: &Chunk| match chunk.range {
            KeyRange::Integer { first, .. } => Some(first),
            _ => None,
        };
        self.chunks.iter().filter_map(first).collect()
    }

    /// The range of the whole table.
    pub(crate) fn whole(&self) -> KeyRange {
        match self.query.address {
            RowAddress::Integer { .. } => KeyRange::Integer { first: i64::MIN, last: i64::MAX },
            RowAddress::Key { .. } => KeyRange::Key { after: None, through: None },
            RowAddress::Ordinal => KeyRange::Ordinal { skip: 0, rows: 0 },
        }
    }

    /// A query of the target's rows as tuples, with their places behind if they are wanted.
    pub(crate) fn select(&self, relation: &Relation, places: bool, condition: &str) -> String {
        let mut list: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let cast = if column.as_text { "::pg_catalog.text" } else { "" };
                let whole = || format!("{}{cast}", quote(&column.target_name));
                column.read.clone().unwrap_or_else(whole)
            })
            .collect();
        if places {
            list.push("ctid".to_owned());
        }
        format!("SELECT {} FROM ONLY {} WHERE {condition}", list.join(", "), relation.name)
    }
}

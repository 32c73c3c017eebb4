//! Unique indexes: whether their entries are the keys of the table's rows, in strictly ascending
//! order.
//!
//! A unique index that is out of step with its table can hide rows with equal keys. The entries are
//! read once, from the pages of the file where possible; the keys of the rows come from the scan of
//! the rows. Only digests are compared.

use crate::codec::digest::Digest;
use crate::codec::sort_key;
use crate::codec::sqlite_value::SqliteValue;
use crate::control::cancel::CancelScope;
use crate::error::Result;
use crate::schema::RowAddress;
use crate::schema::expression::Collation;
use crate::schema::names::quote;
use crate::sqlite::catalog::model::{FieldOver, UniqueIndex};
use crate::sqlite::read::btree::index::IndexTree;
use crate::sqlite::read::chunk_reader::{REPAIR_SOURCE, damage_error};
use crate::sqlite::read::collector::{raw, raw_utf16};
use crate::sqlite::read::entries::{EntryCheck, EntryLayout};
use crate::sqlite::read::query::{TableQuery, TextEncoding, expressions};
use crate::sqlite::source::connection::SourceConnection;
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, OptionalExtension, Row};
use std::ops::Range;

/// Entries between two checks whether to stop.
const ENTRIES_BETWEEN_CHECKS: u64 = 4096;

/// How a unique index and the keys of its rows are read.
#[derive(Debug, Clone)]
pub(crate) struct UniqueIndexSpec {
    /// Its description: `index "i" of table "t"`.
    what: String,
    layout: EntryLayout,
    /// The value of each field in a row of the table's query; `None` if only SQLite computes them.
    row_fields: Option<Vec<RowField>>,
    /// The name of the b-tree in the schema: that of the index, or of a table WITHOUT ROWID.
    tree: String,
    encoding: TextEncoding,
    /// The query of the entries, in the order of the index.
    entries: String,
    /// The query of the keys of all rows that the index must hold.
    keys: String,
}

/// The value of a field in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowField {
    /// The column with this index in the query.
    Column(usize),
    Rowid,
}

/// What the scan found of a unique index.
#[derive(Debug, Clone, Default)]
pub(crate) struct IndexProfile {
    /// The keys of the rows that it must hold.
    pub(crate) keys: Digest,
    pub(crate) entries: Digest,
    /// The entries do not strictly ascend.
    pub(crate) is_disordered: bool,
    /// Its pages could not be read, so SQLite reads it.
    is_left_to_sqlite: bool,
    /// Why it could not be checked.
    pub(crate) unreadable: Option<String>,
}

impl IndexProfile {
    /// The entries are the keys of the rows, and no two are equal.
    pub(crate) fn is_sound(&self) -> bool {
        self.keys == self.entries && !self.is_disordered
    }

    fn add_entries(&mut self, check: &EntryCheck<'_>) {
        self.entries += check.digest;
        self.is_disordered |= check.is_disordered;
    }
}

impl UniqueIndexSpec {
    /// The spec of an index of the table that `query` reads.
    pub(crate) fn new(index: &UniqueIndex, query: &TableQuery) -> Self {
        let rowid = match &query.address {
            RowAddress::Integer { column } => Some(column),
            _ => None,
        };
        // A table can have columns with all names of the rowid.
        let is_read = |field: &&_| rowid.is_some() || !matches!(field, FieldOver::Rowid);
        let fields = || index.fields.iter().map(|field| &field.over).filter(is_read);
        let list = fields().map(|over| match over {
            FieldOver::Column(name) => quote(name),
            FieldOver::Rowid => rowid.map_or_else(String::new, |name| quote(name)),
            FieldOver::Expression(sql) => format!("({sql})"),
        });
        let list = expressions(query.encoding, list.collect()).join(",");
        let row_field = |over: &FieldOver| match over {
            FieldOver::Column(name) => {
                let column = query.columns.iter().position(|column| column == name);
                column.map(RowField::Column)
            }
            FieldOver::Rowid => Some(RowField::Rowid),
            FieldOver::Expression(_) => None,
        };
        let row_fields = fields().map(row_field).collect::<Option<_>>();
        let collations = index.fields.iter().filter(|field| is_read(&&field.over));
        let collations = collations.map(|field| (field.collation.clone(), field.descending));
        let layout =
            EntryLayout { fields: collations.collect(), terms: index.terms, is_ordered: true };
        let is_known =
            |(collation, _): &(Collation, bool)| !matches!(collation, Collation::Other(_));
        // Text in UTF-16 has another order than the same text in UTF-8.
        let is_ordered = !query.utf16() && layout.fields.iter().all(is_known);
        let filter = index.filter.as_ref().map_or_else(String::new, |sql| format!(" WHERE {sql}"));
        let (table, name) = (quote(&query.table), quote(&index.name));
        let is_table = index.fields.len() == index.terms;
        Self {
            what: format!("index {name} of table {table}"),
            layout: EntryLayout { is_ordered, ..layout },
            row_fields: row_fields.filter(|_| index.filter.is_none()),
            tree: if is_table { query.table.clone() } else { index.name.clone() },
            encoding: query.encoding,
            entries: format!("SELECT {list} FROM {table} INDEXED BY {name}{filter}"),
            keys: format!("SELECT {list} FROM {table} NOT INDEXED{filter}"),
        }
    }

    /// Whether the keys of its rows must be read by a query of their own.
    pub(crate) fn needs_query(&self) -> bool {
        self.row_fields.is_none()
    }

    /// The page of its root; `None` if SQLite must read it.
    fn root(&self, connection: &SourceConnection) -> Option<u32> {
        let sql = "SELECT rootpage FROM main.sqlite_schema WHERE name = ?1 AND type <> 'trigger'";
        let page = connection.query_row(sql, [&self.tree], |row| row.get::<_, u32>(0)).optional();
        page.ok().flatten().filter(|page| *page > 1 && self.encoding == TextEncoding::Utf8)
    }

    /// Adds the rows of a query of entries to `check`. Returns why SQLite cannot run the query, if it
    /// lacks a function or collation of the application.
    fn read(
        &self,
        connection: &SourceConnection,
        sql: &str,
        check: &mut EntryCheck<'_>,
        cancel: &CancelScope,
    ) -> Result<Option<String>> {
        let mut scratch = vec![Vec::new(); self.layout.fields.len()];
        let mut read = || -> rusqlite::Result<bool> {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                self.add(row, &mut scratch, check);
                if check.digest.rows.is_multiple_of(ENTRIES_BETWEEN_CHECKS) && cancel.is_cancelled()
                {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match read() {
            Ok(true) => Ok(None),
            Ok(false) => cancel.check().map(|()| None),
            // An error of the statement, and not of the file.
            Err(error @ rusqlite::Error::SqlInputError { .. }) => Ok(Some(error.to_string())),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(damage_error(&self.what, error).hint(REPAIR_SOURCE)),
        }
    }

    /// Adds a row of a query of entries.
    fn add(&self, row: &Row<'_>, scratch: &mut [Vec<u8>], check: &mut EntryCheck<'_>) {
        let count = scratch.len();
        let values = scratch.iter_mut().enumerate().map(|(number, scratch)| {
            let value = row.get_ref(number).ok()?;
            Some(match self.encoding {
                TextEncoding::Utf8 => raw(value),
                encoding => {
                    let is_text = row.get_ref(count + number).ok()? == ValueRef::Integer(1);
                    raw_utf16(value, is_text, encoding, scratch)
                }
            })
        });
        check.add(values);
    }
}

/// A part of the work on a unique index.
#[derive(Debug, Clone)]
pub(crate) enum IndexPart {
    /// All its entries, from pages if possible.
    Whole,
    /// The entries of a part of its b-tree.
    Tree(IndexTree),
    /// All its entries, by SQLite.
    Entries,
    /// The keys of the rows that it must hold, by SQLite.
    Keys,
}

impl IndexPart {
    /// Does the work. `change` locks and changes the profile of the index, and `give` receives more
    /// work. Errors: the index is damaged so that SQLite cannot read it, or the run was stopped.
    pub(crate) fn run(
        self,
        spec: &UniqueIndexSpec,
        connection: &SourceConnection,
        cancel: &CancelScope,
        change: impl Fn(&mut dyn FnMut(&mut IndexProfile)),
        mut give: impl FnMut(Self),
    ) -> Result<()> {
        let mut check = EntryCheck::new(&spec.layout);
        match self {
            Self::Whole => give(match spec.root(connection) {
                Some(page) => Self::Tree(IndexTree::whole(page)),
                None => Self::Entries,
            }),
            Self::Tree(tree) => {
                let mut is_left = false;
                change(&mut |index| is_left = index.is_left_to_sqlite);
                if is_left {
                    return Ok(());
                }
                let mut give_tree = |tree| give(Self::Tree(tree));
                let read = connection.check_entries(&tree, &mut check, &mut give_tree);
                change(&mut |index| match read {
                    _ if index.is_left_to_sqlite => {}
                    Some(()) => index.add_entries(&check),
                    None => {
                        *index = IndexProfile {
                            keys: index.keys,
                            is_left_to_sqlite: true,
                            ..IndexProfile::default()
                        };
                        give(Self::Entries);
                    }
                });
            }
            Self::Entries => {
                let unreadable = spec.read(connection, &spec.entries, &mut check, cancel)?;
                change(&mut |index| {
                    index.add_entries(&check);
                    index.unreadable = index.unreadable.take().or(unreadable.clone());
                });
            }
            Self::Keys => {
                let unreadable = spec.read(connection, &spec.keys, &mut check, cancel)?;
                change(&mut |index| {
                    index.keys += check.digest;
                    index.unreadable = index.unreadable.take().or(unreadable.clone());
                });
            }
        }
        Ok(())
    }
}

/// Digests the keys of rows, as each unique index must hold them.
pub(crate) struct KeyDigests<'a> {
    slots: Vec<Slot<'a>>,
    /// By column, the numbers of its slots; empty if there is no unique index.
    by_column: Vec<Vec<usize>>,
    /// Indexes by their number, and the slots of their fields.
    indexes: Vec<(usize, Vec<usize>)>,
    /// The sort keys of the current row.
    row: Vec<u8>,
    key: Vec<u8>,
}

/// The sort key of a column of the current row, or of its rowid.
struct Slot<'a> {
    field: RowField,
    collation: &'a Collation,
    descending: bool,
    bytes: Range<usize>,
}

impl<'a> KeyDigests<'a> {
    /// For tables with `columns` columns.
    pub(crate) fn new(specs: &'a [UniqueIndexSpec], columns: usize) -> Self {
        let mut slots: Vec<Slot<'a>> = Vec::new();
        let mut indexes = Vec::new();
        for (number, spec) in specs.iter().enumerate() {
            let Some(row_fields) = &spec.row_fields else { continue };
            let fields = row_fields.iter().zip(&spec.layout.fields);
            let fields = fields.map(|(&field, (collation, descending))| {
                let is_same = |slot: &Slot<'_>| {
                    (slot.field, slot.collation, slot.descending) == (field, collation, *descending)
                };
                slots.iter().position(is_same).unwrap_or_else(|| {
                    slots.push(Slot { field, collation, descending: *descending, bytes: 0..0 });
                    slots.len() - 1
                })
            });
            indexes.push((number, fields.collect()));
        }
        let mut by_column = vec![Vec::new(); if slots.is_empty() { 0 } else { columns }];
        for (number, slot) in slots.iter().enumerate() {
            if let RowField::Column(column) = slot.field {
                by_column[column].push(number);
            }
        }
        Self { slots, by_column, indexes, row: Vec::new(), key: Vec::new() }
    }

    /// Adds a value of the current row.
    #[inline]
    pub(crate) fn add(&mut self, column: usize, value: SqliteValue<'_>) {
        let Some(slots) = self.by_column.get(column) else { return };
        for &slot in slots {
            self.slots[slot].push(value, &mut self.row);
        }
    }

    /// Ends the current row.
    #[inline]
    pub(crate) fn end_row(&mut self, rowid: i64, profiles: &mut [IndexProfile]) {
        if self.indexes.is_empty() {
            return;
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.field == RowField::Rowid) {
            slot.push(SqliteValue::Integer(rowid), &mut self.row);
        }
        for (number, slots) in &self.indexes {
            self.key.clear();
            for &slot in slots {
                self.key.extend_from_slice(&self.row[self.slots[slot].bytes.clone()]);
            }
            profiles[*number].keys.add_row(&self.key);
        }
        self.row.clear();
        for memory in [&mut self.row, &mut self.key] {
            memory.shrink_to(MAX_KEPT_KEYS.max(memory.len()));
        }
    }
}

/// The most memory in bytes that is kept for the keys of a row.
const MAX_KEPT_KEYS: usize = 1 << 20;

impl Slot<'_> {
    #[inline]
    fn push(&mut self, value: SqliteValue<'_>, row: &mut Vec<u8>) {
        let start = row.len();
        sort_key::push(value, self.collation, self.descending, row);
        self.bytes = start..row.len();
    }
}

#[cfg(test)]
mod tests;

//! Unique indexes: whether their entries are the keys of the table's rows, in strictly ascending
//! order.
//!
//! A unique index that is out of step with its table can hide rows with equal keys. The entries are
//! read once, from the pages of the file where possible; the keys of the rows come from the scan of
//! the rows. Only digests are compared.

use crate::codec::digest::{Digest, KeyHash};
use crate::codec::sqlite_value::SqliteValue;
use crate::control::cancel::CancelScope;
use crate::error::Result;
use crate::schema::RowAddress;
use crate::schema::expression::Collation;
use crate::schema::names::quote;
use crate::sqlite::catalog::model::{FieldOver, UniqueIndex};
use crate::sqlite::read::btree::index::IndexTree;
use crate::sqlite::read::chunk_reader::{REPAIR_SOURCE, damage_error, is_damage};
use crate::sqlite::read::collector::{raw, raw_utf16};
use crate::sqlite::read::entries::{EntryCheck, EntryKey, EntryLayout};
use crate::sqlite::read::query::{TableQuery, TextEncoding, expressions};
use crate::sqlite::source::connection::SourceConnection;
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, OptionalExtension, Row};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// SQLite calls it malformed.
    pub(crate) is_malformed: bool,
    /// Why it could not be checked.
    pub(crate) unreadable: Option<String>,
}

impl IndexProfile {
    /// The entries are the keys of the rows, and no two are equal.
    pub(crate) fn is_sound(&self) -> bool {
        self.keys == self.entries && !self.is_disordered && !self.is_malformed
    }

    fn add_entries(&mut self, check: &EntryCheck<'_>) {
        self.entries += check.digest;
        self.is_disordered |= check.is_disordered;
        self.is_malformed |= check.is_malformed;
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
        let row_fields = fields().map(row_field).collect::<Option<Vec<RowField>>>();
        let rowid = fields().position(|over| *over == FieldOver::Rowid);
        let mut hashed: Vec<usize> =
            (0..fields().count()).filter(|field| Some(*field) != rowid).collect();
        if let Some(row_fields) = &row_fields {
            hashed.sort_by_key(|field| row_fields[*field]);
        }
        let collations = index.fields.iter().filter(|field| is_read(&&field.over));
        let collations = collations.map(|field| (field.collation.clone(), field.descending));
        let collations: Vec<(Collation, bool)> = collations.collect();
        let is_known =
            |(collation, _): &(Collation, bool)| !matches!(collation, Collation::Other(_));
        // Text in UTF-16 has another order than the same text in UTF-8.
        let is_ordered = !query.utf16() && collations.iter().all(is_known);
        let filter = index.filter.as_ref().map_or_else(String::new, |sql| format!(" WHERE {sql}"));
        let (table, name) = (quote(&query.table), quote(&index.name));
        Self {
            what: format!("index {name} of table {table}"),
            layout: EntryLayout {
                fields: collations,
                terms: index.terms,
                is_ordered,
                rowid,
                hashed,
            },
            row_fields: row_fields.filter(|_| index.filter.is_none()),
            tree: if index.is_table { query.table.clone() } else { index.name.clone() },
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
            let mut last = None;
            while let Some(row) = rows.next()? {
                let key = self.add(row, &mut scratch, check)?;
                check.compare_keys(last.as_ref(), Some(&key));
                last = Some(key);
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
            // Damage of the index alone: the keys are read without it.
            Err(error) if sql == self.entries && is_damage(&error) => {
                check.is_malformed = true;
                Ok(None)
            }
            Err(error) => Err(damage_error(&self.what, error).hint(REPAIR_SOURCE)),
        }
    }

    /// Adds a row of a query of entries, and returns its sort key.
    fn add(
        &self,
        row: &Row<'_>,
        scratch: &mut [Vec<u8>],
        check: &mut EntryCheck<'_>,
    ) -> rusqlite::Result<EntryKey> {
        let mut values = Vec::with_capacity(scratch.len());
        let count = scratch.len();
        for (number, scratch) in scratch.iter_mut().enumerate() {
            let value = row.get_ref(number)?;
            values.push(match self.encoding {
                TextEncoding::Utf8 => raw(value),
                encoding => {
                    let is_text = row.get_ref(count + number)? == ValueRef::Integer(1);
                    raw_utf16(value, is_text, encoding, scratch)
                }
            });
        }
        check.add(&values);
        Ok(self.layout.key(&values))
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
    /// work. Errors: SQLite cannot read the table, or the run was stopped.
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
pub(crate) struct KeyDigests {
    /// The indexes, by number, with the hash of the current row. Those of a flag contain the rowid.
    indexes: Vec<(usize, bool, KeyHash)>,
    /// The columns of their fields in ascending order, each with a position in `indexes`.
    fields: Vec<(usize, usize)>,
    /// The next field of the current row.
    next: usize,
}

impl KeyDigests {
    pub(crate) fn new(specs: &[UniqueIndexSpec]) -> Self {
        let (mut indexes, mut fields) = (Vec::new(), Vec::new());
        for (number, spec) in specs.iter().enumerate() {
            let Some(row_fields) = &spec.row_fields else { continue };
            for field in row_fields {
                if let RowField::Column(column) = field {
                    fields.push((*column, indexes.len()));
                }
            }
            let has_rowid = row_fields.contains(&RowField::Rowid);
            indexes.push((number, has_rowid, KeyHash::new(0)));
        }
        fields.sort_unstable();
        Self { indexes, fields, next: 0 }
    }

    /// Starts a row.
    #[inline]
    pub(crate) fn start_row(&mut self, rowid: i64) {
        for (_, has_rowid, hash) in &mut self.indexes {
            *hash = KeyHash::new(if *has_rowid { rowid } else { 0 });
        }
        self.next = 0;
    }

    /// Adds a value of the row. Columns come in ascending order.
    #[inline]
    pub(crate) fn add(&mut self, column: usize, value: SqliteValue<'_>) {
        while let Some((next, index)) = self.fields.get(self.next)
            && *next == column
        {
            self.indexes[*index].2.add(value);
            self.next += 1;
        }
    }

    /// Ends a row.
    #[inline]
    pub(crate) fn end_row(&self, profiles: &mut [IndexProfile]) {
        for (number, _, hash) in &self.indexes {
            profiles[*number].keys.add_key(*hash);
        }
    }
}

#[cfg(test)]
mod tests;

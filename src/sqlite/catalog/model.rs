//! The catalog of a SQLite database.

use crate::schema::Schema;
use crate::schema::expression::Collation;
use crate::sqlite::catalog::file_properties::FileProperties;
use std::collections::HashMap;

/// The catalog of a SQLite database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    pub(crate) schema: Schema,
    pub(crate) file: FileProperties,
    /// The facts that only SQLite has, by table name.
    pub(crate) facts: HashMap<String, TableFacts>,
}

/// The facts of a table that only SQLite has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFacts {
    pub(crate) without_rowid: bool,
    /// STRICT: columns enforce their types, and ANY means no type.
    pub(crate) strict: bool,
    /// The key is AUTOINCREMENT: no value is generated twice.
    pub(crate) autoincrement: bool,
    /// The CREATE TABLE statement as stored.
    pub(crate) definition: String,
    /// The unique indexes: of the primary key, of each UNIQUE constraint, and those of CREATE INDEX,
    /// each kind in the order of the schema.
    pub(crate) unique_indexes: Vec<UniqueIndex>,
}

/// A unique index, and what its entries consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UniqueIndex {
    pub(crate) name: String,
    pub(crate) origin: IndexOrigin,
    /// The fields of an entry: the terms, then what identifies the row.
    pub(crate) fields: Vec<EntryField>,
    /// The number of fields that are terms.
    pub(crate) terms: usize,
    /// It is the primary key of a table WITHOUT ROWID, whose b-tree is the table's.
    pub(crate) is_table: bool,
    /// The WHERE of a partial index.
    pub(crate) filter: Option<String>,
}

/// What a unique index was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexOrigin {
    PrimaryKey,
    Unique,
    /// CREATE INDEX.
    Created,
}

/// A field of the entries of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryField {
    pub(crate) over: FieldOver,
    pub(crate) collation: Collation,
    pub(crate) descending: bool,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldOver {
    Column(String),
    Rowid,
    /// An expression, as text.
    Expression(String),
}

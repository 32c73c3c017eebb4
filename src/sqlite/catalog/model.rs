//! The catalog of a SQLite database.

use crate::schema::Schema;
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
}

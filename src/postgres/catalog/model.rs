//! The catalog of one PostgreSQL schema.

use crate::schema::{Check, LeftOut, Schema};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// The neutral schema. Declared types are spelled as `format_type` does.
    pub(crate) schema: Schema,
    /// The facts that only PostgreSQL has, by table name.
    pub(crate) facts: HashMap<String, TableFacts>,
    /// Properties that SQLite cannot have, of objects that it can have.
    pub(crate) lost: Vec<LeftOut>,
}

/// The facts of a table that only PostgreSQL has.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableFacts {
    /// Row-level security hides rows from this role.
    pub(crate) hidden: bool,
    /// The facts of the SQLite table that it was copied from, from our comment; null if none.
    pub(crate) origin: Value,
    /// The columns, in the order of the table's.
    pub(crate) columns: Vec<ColumnFacts>,
    /// The CHECKs that hold in SQLite what has another form in PostgreSQL: enums, MATCH FULL.
    pub(crate) checks: Vec<Check>,
    /// The names of foreign keys that are NOT VALID.
    pub(crate) not_valid: HashSet<String>,
}

/// The facts of a column that only PostgreSQL has.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnFacts {
    /// The name of its type (of a domain: its base type) in `pg_catalog`; empty for other types.
    pub(crate) base: String,
    /// The same type with its modifiers, as `format_type` spells it.
    pub(crate) base_type: String,
    /// The type's output function, qualified and quoted.
    pub(crate) output: String,
    /// The declared type is a domain.
    pub(crate) domain: bool,
    /// The DEFAULT has the same value for every row, and runs no function of a user.
    pub(crate) constant_default: bool,
    /// Text in the column compares by bytes.
    pub(crate) bytewise: bool,
    /// The sequence that the column owns, qualified and quoted.
    pub(crate) sequence: Option<String>,
    /// The facts of the SQLite column that it was copied from, from our comment; null if none.
    pub(crate) origin: Value,
}

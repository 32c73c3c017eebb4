//! The PostgreSQL catalog: one schema of a database, read into the neutral schema.
//!
//! Everything is asked of `pg_catalog` under the snapshot that the rows are read in. A partitioned
//! table is one table; expressions keep the server's own spelling and, where every construct in
//! them is known, their tree ([`crate::postgres::sql::parse`]).

pub(crate) mod columns;
pub(crate) mod constraints;
pub(crate) mod existing;
pub(crate) mod indexes;
pub(crate) mod relations;
pub(crate) mod target_objects;

use crate::error::Result;
use crate::postgres::errors::db_error;
use crate::schema::{LeftOut, ObjectKind, Schema};
use postgres::{Client, Row};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// One schema of a PostgreSQL database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// What both databases have. A column's declared type is spelt as `format_type` does.
    pub(crate) schema: Schema,
    /// What only PostgreSQL knows, by the name of the table.
    pub(crate) facts: HashMap<String, TableFacts>,
}

/// What only PostgreSQL knows of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableFacts {
    /// Its rows lie in partitions.
    pub(crate) partitioned: bool,
    /// Row-level security keeps rows from this role.
    pub(crate) hidden: bool,
    /// Bytes of its rows on the disk, those of its partitions included, without indexes and
    /// values stored apart.
    pub(crate) bytes: u64,
    /// Bytes of values stored apart (TOAST), as they are compressed there.
    pub(crate) bytes_apart: u64,
    /// What a copy of ours kept of the SQLite table that it came from; null where it did not.
    pub(crate) origin: Value,
    /// The columns, in the order of the table's.
    pub(crate) columns: Vec<ColumnFacts>,
    /// The names of foreign keys that hold for new rows only.
    pub(crate) not_valid: HashSet<String>,
}

/// What only PostgreSQL knows of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnFacts {
    /// The name of its type, or of the type that its domains are made of, in `pg_catalog`; empty
    /// for all types that PostgreSQL does not bring itself.
    pub(crate) base: String,
    /// That type with its modifiers, as `format_type` spells it.
    pub(crate) base_type: String,
    /// The type's output function, qualified and quoted.
    pub(crate) output: String,
    /// The declared type is a domain.
    pub(crate) domain: bool,
    /// Text of it compares by bytes.
    pub(crate) bytewise: bool,
    /// What a copy of ours kept of the SQLite column that it came from; null where it did not.
    pub(crate) origin: Value,
}

/// Reads the catalog of `schema`, as the session's transaction sees it.
pub(crate) fn read(client: &mut Client, schema: &str) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    let tables = relations::tables(client, schema, &mut catalog)?;
    columns::read(client, schema, &tables, &mut catalog)?;
    constraints::read(client, schema, &tables, &mut catalog)?;
    indexes::read(client, schema, &tables, &mut catalog)?;
    relations::others(client, schema, &mut catalog.schema.left_out)?;
    Ok(catalog)
}

/// The places of tables in the schema, by their object ids.
type SourceIndex = HashMap<i64, usize>;

fn query(client: &mut Client, sql: &str, schema: &str) -> Result<Vec<Row>> {
    client
        .query(sql, &[&schema])
        .map_err(db_error("cannot read the catalog of the PostgreSQL database"))
}

/// What our own comment keeps.
fn origin(comment: Option<String>) -> Value {
    comment
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .map_or(Value::Null, |mut value| value["sqlite"].take())
}

fn left_out(kind: ObjectKind, table: Option<&str>, name: &str, reason: &str) -> LeftOut {
    LeftOut {
        kind,
        table: table.map(str::to_owned),
        name: name.to_owned(),
        reason: reason.to_owned(),
        definition: None,
        rows: None,
    }
}

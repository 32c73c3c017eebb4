//! What is built already: asked before each step of the finish, as a run that was cut off, or a
//! connection that was lost after its last statement, may have built it.

use crate::error::Result;
use crate::postgres::errors::db_error;
use postgres::Client;

/// An index, as far as it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// There is none of that name on the table.
    Absent,
    /// It is there and good for nothing.
    Invalid,
    /// It is there.
    Whole,
}

const WHAT: &str = "cannot read the target's catalog";

/// The index `name` on `table` (qualified).
pub(crate) fn index(client: &mut Client, table: &str, name: &str) -> Result<Index> {
    const SQL: &str = "\
        SELECT i.indisvalid AND i.indisready AND i.indislive \
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
        WHERE i.indrelid = $1::text::pg_catalog.regclass AND c.relname = $2";
    let row = client.query_opt(SQL, &[&table, &name]).map_err(db_error(WHAT))?;
    Ok(match row.map(|row| row.get(0)) {
        None => Index::Absent,
        Some(false) => Index::Invalid,
        Some(true) => Index::Whole,
    })
}

/// Whether the constraint `name` is on `table` (qualified); and whether its rows were looked at.
pub(crate) fn constraint(client: &mut Client, table: &str, name: &str) -> Result<Option<bool>> {
    const SQL: &str = "\
        SELECT convalidated FROM pg_catalog.pg_constraint \
        WHERE conrelid = $1::text::pg_catalog.regclass AND conname = $2";
    let row = client.query_opt(SQL, &[&table, &name]).map_err(db_error(WHAT))?;
    Ok(row.map(|row| row.get(0)))
}

/// Whether the view `name` is in `schema`.
pub(crate) fn view(client: &mut Client, schema: &str, name: &str) -> Result<bool> {
    const SQL: &str = "\
        SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'v')";
    let row = client.query_one(SQL, &[&schema, &name]).map_err(db_error(WHAT))?;
    Ok(row.get(0))
}

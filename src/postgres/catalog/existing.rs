//! The state of single objects of the target. Each step of the finish reads it first: an interrupted
//! run, or a connection lost after its last statement, may have created the object.

use crate::error::Result;
use crate::postgres::errors::db_error;
use postgres::Client;

const WHAT: &str = "cannot read the target's catalog";

/// Whether the server uses the index `name` on `table` (qualified); `None` if it is missing.
pub(crate) fn index(client: &mut Client, table: &str, name: &str) -> Result<Option<bool>> {
    const SQL: &str = "\
        SELECT i.indisvalid AND i.indisready AND i.indislive \
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
        WHERE i.indrelid = $1::text::pg_catalog.regclass AND c.relname = $2";
    let row = client.query_opt(SQL, &[&table, &name]).map_err(db_error(WHAT))?;
    Ok(row.map(|row| row.get(0)))
}

/// Whether the constraint `name` on `table` (qualified) is validated; `None` if it is missing.
pub(crate) fn constraint(client: &mut Client, table: &str, name: &str) -> Result<Option<bool>> {
    const SQL: &str = "\
        SELECT convalidated FROM pg_catalog.pg_constraint \
        WHERE conrelid = $1::text::pg_catalog.regclass AND conname = $2";
    let row = client.query_opt(SQL, &[&table, &name]).map_err(db_error(WHAT))?;
    Ok(row.map(|row| row.get(0)))
}

pub(crate) fn view(client: &mut Client, schema: &str, name: &str) -> Result<bool> {
    const SQL: &str = "\
        SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'v')";
    let row = client.query_one(SQL, &[&schema, &name]).map_err(db_error(WHAT))?;
    Ok(row.get(0))
}

//! Checks of the source before anything costly is done, and the description of misfits.

use crate::error::{Error, Result, plural};
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use crate::schema::names::quote;
use postgres::Client;

/// Refuses a table with rows that row-level security hides.
pub(crate) fn refuse_hidden(catalog: &Catalog) -> Result<()> {
    let hidden = catalog.schema.tables.iter().find(|table| catalog.facts[&table.name].hidden);
    let Some(table) = hidden else { return Ok(()) };
    Err(Error::refused(format!(
        "row-level security hides rows of table {} from this role",
        quote(&table.name)
    ))
    .hint("connect as the table's owner or as a role with BYPASSRLS")
    .remedy_exclude(&[&table.name]))
}

/// Refuses tables without columns, which SQLite does not support.
pub(crate) fn refuse_bare(catalog: &Catalog) -> Result<()> {
    let bare = catalog.schema.tables.iter().filter(|table| table.columns.is_empty());
    let bare: Vec<&str> = bare.map(|table| table.name.as_str()).collect();
    if bare.is_empty() {
        return Ok(());
    }
    let count = plural(bare.len() as u64, "table", "tables");
    let error = Error::refused(format!("SQLite cannot store {count} of the source"));
    let error = bare.iter().fold(error, |error, name| {
        error.caused_by(format!("table {} has no columns", quote(name)))
    });
    Err(error.remedy_exclude(&bare))
}

/// Describes values that a column cannot hold, with their first rows.
pub(crate) fn misfit(
    client: &mut Client,
    (table, column): (&str, &str),
    (from, key): (&str, Option<&str>),
    proposal: &MappingCandidate,
    count: u64,
) -> Result<String> {
    let (condition, what) = match &proposal.rejects {
        Some((condition, what)) => (condition.as_str(), *what),
        None => ("false", "other values"),
    };
    let (row, order) = match key {
        Some(key) => (quote(key), format!(" ORDER BY {}", quote(key))),
        None => ("ctid".to_owned(), String::new()),
    };
    let sql = format!("SELECT {row}::pg_catalog.text FROM {from} WHERE {condition}{order} LIMIT 3");
    let what_failed = format!("cannot check table {}", quote(table));
    let rows = client.query(&sql, &[]).map_err(db_error(&what_failed))?;
    let first: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let named = key.unwrap_or("ctid");
    Ok(format!(
        "table {} column {}: {count} with {what} (first at {named} {})",
        quote(table),
        quote(column),
        first.join(", ")
    ))
}

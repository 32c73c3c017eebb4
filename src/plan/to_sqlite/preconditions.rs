//! Checks of the source before anything costly is done, and the description of misfits.

use crate::error::{Error, Result, plural};
use crate::options::run_options::Replace;
use crate::plan::texts::{list_names, swapped};
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::plan::to_sqlite::names::table_names;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::row_counts;
use crate::postgres::errors::db_error;
use crate::schema::ObjectKind;
use crate::schema::names::quote;
use crate::sqlite::write::target_file::ExistingObject;
use postgres::Client;

/// Refuses a target file with tables or views, unless it may be replaced.
pub(crate) fn check_target(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    client: &mut Client,
) -> Result<()> {
    if inputs.existing.is_empty() || inputs.replace == Replace::Everything {
        return Ok(());
    }
    let (_, planned) = table_names(catalog);
    let is_planned = |object: &&ExistingObject| {
        let has_name = |name: &String| name.eq_ignore_ascii_case(&object.name);
        object.kind == ObjectKind::Table && planned.iter().any(has_name)
    };
    let others = inputs.existing.iter().filter(|object| !is_planned(object));
    let others: Vec<&ExistingObject> = others.collect();
    let list = |objects: &[&ExistingObject]| {
        list_names(objects.iter().map(|o| format!("{} {}", o.kind.as_str(), quote(&o.name))))
    };
    let cause = match others.as_slice() {
        [] if inputs.replace == Replace::Planned => return Ok(()),
        [] => format!("it has {}", list(&inputs.existing.iter().collect::<Vec<_>>())),
        others => format!("it has {}, which this run does not create again", list(others)),
    };
    let sources: Vec<&str> =
        catalog.schema.tables.iter().map(|table| table.name.as_str()).collect();
    if inputs.existing.iter().any(|object| object.rows.is_some_and(|rows| rows > 0))
        && !row_counts::is_any(client, inputs.schema, &sources)?
    {
        return Err(swapped());
    }
    let error = Error::refused(format!("{} is not empty", inputs.target)).caused_by(cause);
    Err(match others.is_empty() {
        true => error.remedy("replace it once the new file is complete", &["--clean"]),
        false => error.hint("give another file with --to"),
    })
}

/// Refuses a table with rows that row-level security hides.
pub(crate) fn refuse_hidden(catalog: &Catalog) -> Result<()> {
    let hidden = catalog.schema.tables.iter().find(|table| catalog.facts[&table.name].hidden);
    let Some(table) = hidden else { return Ok(()) };
    Err(Error::refused(format!(
        "row-level security hides rows of table {} from this role",
        quote(&table.name)
    ))
    .hint(
        "connect as a role with BYPASSRLS, or as the table's owner if its row-level security is not \
         forced",
    )
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

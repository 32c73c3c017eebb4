//! Checks of the source before anything costly is done, and the description of misfits.

use crate::error::{Error, Result, count, plural};
use crate::options::plan_options::LargeObjects;
use crate::options::run_options::Replace;
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::table_selection::SKIPPED;
use crate::plan::texts::{list_names, swapped};
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::plan::to_sqlite::model::{Enforced, ToSqlite};
use crate::plan::to_sqlite::names::{table_names, view_names};
use crate::postgres::catalog::large_objects::{
    LargeObjectColumn, LargeObjects as Found, OidColumn,
};
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::row_counts;
use crate::postgres::errors::db_error;
use crate::postgres::relation::StoredTable;
use crate::schema::names::quote;
use crate::schema::{Column, IndexTerm, Key, LeftOut, ObjectKind, Table};
use crate::sqlite::write::target_file::ExistingObject;
use postgres::Client;

/// Lists the foreign keys that are NOT VALID in PostgreSQL and have rows without a parent. `stored` is
/// in the order of the plan's tables.
pub(crate) fn list_orphans(
    client: &mut Client,
    plan: &mut Plan<ToSqlite>,
    stored: &[StoredTable],
) -> Result<()> {
    let mut list = Vec::new();
    for (child, rows) in plan.tables.iter().zip(stored) {
        let keys = child.ddl.foreign_keys.iter().zip(&child.finish.enforced);
        for (key, _) in keys.filter(|(_, enforced)| **enforced == Enforced::NotValid) {
            let mut parents = plan.tables.iter().zip(stored);
            let parent = parents.find(|(parent, _)| parent.ddl.name == key.parent);
            let Some((parent, parent_rows)) = parent else { continue };
            let (from, to) = (names(child, &key.columns), names(parent, &key.parent_columns));
            let pairs: Vec<String> =
                from.iter().zip(to).map(|(from, to)| format!("p.{to} = c.{from}")).collect();
            let sql = format!(
                "SELECT count(*) FROM (SELECT * FROM {}) c WHERE c.{} IS NOT NULL AND NOT EXISTS \
                 (SELECT FROM (SELECT * FROM {}) p WHERE {})",
                rows.from,
                from.join(" IS NOT NULL AND c."),
                parent_rows.from,
                pairs.join(" AND ")
            );
            let what = format!("cannot check the foreign keys of table {}", quote(&child.name));
            let count: i64 = client.query_one(&sql, &[]).map_err(db_error(&what))?.get(0);
            if count > 0 {
                let name = key.name.clone().unwrap_or_else(|| key.clause());
                let left_out = LeftOut::part(ObjectKind::ForeignKey, &child.name, &name, None);
                list.push(left_out.because(orphans(count.unsigned_abs(), Enforced::NotValid)));
            }
        }
    }
    plan.left_out.append(&mut list);
    Ok(())
}

/// The names in PostgreSQL of columns of the new file.
fn names(table: &PlannedTable<ToSqlite>, targets: &[String]) -> Vec<String> {
    let name = |target: &String| table.columns.iter().find(|column| column.target_name == *target);
    targets.iter().filter_map(|target| Some(quote(&name(target)?.name))).collect()
}

/// The reason for listing a foreign key with rows without a parent.
pub(crate) fn orphans(count: u64, enforced: Enforced) -> String {
    let rows = plural(count, "row has", "rows have");
    match enforced {
        Enforced::Lost => format!("{rows} no parent; PostgreSQL does not have the key"),
        _ => format!("{rows} no parent, as in PostgreSQL (NOT VALID)"),
    }
}

/// Refuses a target file with tables or views, unless it may be replaced.
pub(crate) fn check_target(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    client: &mut Client,
) -> Result<()> {
    if inputs.existing.is_empty() || inputs.replace == Replace::Everything {
        return Ok(());
    }
    let ((_, tables), views) = (table_names(catalog), view_names(catalog));
    let is_planned = |object: &&ExistingObject| {
        let planned = if object.kind == ObjectKind::Table { &tables } else { &views };
        planned.iter().any(|name| name.eq_ignore_ascii_case(&object.name))
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

/// The columns whose values may refer to large objects.
pub(crate) fn oid_columns(catalog: &Catalog, stored: &[StoredTable]) -> Vec<OidColumn> {
    let of_table = |(table, stored): (&Table, &StoredTable)| {
        let columns = table.columns.iter().zip(&catalog.facts[&table.name].columns);
        let oids = columns.filter(|(_, facts)| facts.base == "oid");
        let oid = |(column, _): (&Column, _)| OidColumn {
            table: table.name.clone(),
            column: column.name.clone(),
            from: stored.from.clone(),
            value: oid_of(&column.name),
        };
        oids.map(oid).collect::<Vec<_>>()
    };
    catalog.schema.tables.iter().zip(stored).flat_map(of_table).collect()
}

/// The number of the large object to which a column refers.
pub(crate) fn oid_of(column: &str) -> String {
    format!("t.{}::pg_catalog.oid", quote(column))
}

/// Refuses columns that refer to large objects unless the user has chosen what to do with these.
/// Returns what is lost.
pub(crate) fn check_large_objects(
    choice: Option<LargeObjects>,
    catalog: &Catalog,
    found: &Found,
) -> Result<Vec<LeftOut>> {
    let (mut lost, mut refused) = (Vec::new(), Vec::new());
    for one in &found.columns {
        let bytes =
            one.bytes.as_ref().map(|(all, _)| format!(" ({})", plural(*all, "byte", "bytes")));
        let objects = plural(one.objects, "large object", "large objects");
        let counted = format!("{objects}{}", bytes.unwrap_or_default());
        let left_out = LeftOut::part(ObjectKind::LargeObjects, &one.table, &one.column, None);
        match choice {
            None => refused.push((one, counted)),
            Some(LargeObjects::Skip) => lost.push(
                left_out.because(format!("{SKIPPED}: {counted}; the column keeps their numbers")),
            ),
            Some(LargeObjects::Blob) => {
                refused.extend(cannot_copy(one, catalog).map(|reason| (one, reason)));
                if one.dangling > 0 {
                    let values = plural(one.dangling, "value refers", "values refer");
                    let reason = format!("{values} to no large object, and the BLOB is NULL");
                    lost.push(left_out.because(reason));
                }
            }
        }
    }
    if !refused.is_empty() {
        return Err(refuse_large_objects(choice, &refused));
    }
    if found.unreferenced > 0 {
        let count = plural(found.unreferenced, "large object", "large objects");
        let left_out = LeftOut::object(ObjectKind::LargeObjects, &count, None);
        lost.push(left_out.because("no column of the migrated tables refers to them"));
    }
    Ok(lost)
}

fn refuse_large_objects(
    choice: Option<LargeObjects>,
    refused: &[(&LargeObjectColumn, String)],
) -> Error {
    let error = Error::refused(match choice {
        None => "columns refer to large objects, which SQLite does not have",
        Some(_) => "large objects cannot be copied",
    });
    let error = refused.iter().fold(error, |error, (one, reason)| {
        let (table, column) = (quote(&one.table), quote(&one.column));
        error.caused_by(format!("table {table} column {column}: {reason}"))
    });
    let skip = "leave them out and keep their numbers";
    match choice {
        None => error
            .remedy("copy them as BLOBs", &["--large-objects=blob"])
            .remedy(skip, &["--large-objects=skip"]),
        Some(_) => error.remedy_without(skip, &["--large-objects=skip"], &["--large-objects"]),
    }
}

/// Why the large objects of a column cannot be copied into it.
fn cannot_copy(one: &LargeObjectColumn, catalog: &Catalog) -> Option<String> {
    // The maximum of a row is 1,000,000,000 bytes.
    const MAX_BYTES: u64 = 999_000_000;
    let table = catalog.schema.tables.iter().find(|table| table.name == one.table)?;
    let column = table.columns.iter().find(|column| column.name == one.column)?;
    let indexes = table.indexes.iter().filter(|index| index.unique);
    let indexes = indexes.flat_map(|index| &index.terms).filter_map(IndexTerm::column);
    let keys = table.primary_key.iter().chain(&table.uniques).flat_map(Key::names);
    let foreign_keys = table.foreign_keys.iter().flat_map(|key| &key.columns);
    let mut names = keys.chain(indexes).chain(foreign_keys.map(String::as_str));
    match &one.bytes {
        Err(error) => Some(error.clone()),
        Ok((_, largest)) if *largest > MAX_BYTES => Some(format!(
            "the largest has {} bytes; SQLite's maximum is {} bytes",
            count(*largest),
            count(MAX_BYTES)
        )),
        _ if names.any(|name| name == one.column) => Some("it is part of a key".to_owned()),
        _ if column.not_null && one.dangling > 0 => {
            let values = plural(one.dangling, "value refers", "values refer");
            Some(format!("it is NOT NULL, and {values} to no large object"))
        }
        Ok(_) => None,
    }
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

//! Checks of both sides before anything costly is done.

use crate::error::{Error, Result, plural};
use crate::plan::texts::{list_names, swapped};
use crate::plan::to_postgres::inputs::{CreatedObjects, DropScope, PlanInputs, PlannedNames};
use crate::plan::to_postgres::source_checks::MAX_COLUMNS;
use crate::postgres::catalog::row_counts;
use crate::postgres::catalog::target_objects::CatalogObject;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::detail::State;
use crate::postgres::ledger::{self, Entry};
use crate::schema::names::quote;
use crate::schema::{ObjectKind, Schema, Table};
use crate::sqlite::read::chunk_reader::read_error;
use postgres::Client;
use rusqlite::Connection;
use serde_json::json;
use std::collections::HashSet;

/// Refuses a source with a table of the ledger's name.
pub(crate) fn refuse_own_name(schema: &Schema) -> Result<()> {
    let taken = |name: &str| name.eq_ignore_ascii_case(ledger::TABLE);
    if let Some(table) = schema.tables.iter().find(|table| taken(&table.name)) {
        return Err(Error::refused("the source has a table named migrate_ledger")
            .caused_by("migrate stores its ledger in the target under that name")
            .remedy_exclude(&[&table.name]));
    }
    Ok(())
}

/// What is dropped: of the tables that a complete earlier run created, only those that this run has
/// not `excluded`.
pub(crate) fn drop_scope(
    inputs: &PlanInputs<'_>,
    entries: &[Entry],
    excluded: &HashSet<String>,
) -> DropScope {
    let entry = entries.iter().find(|entry| entry.data_set == inputs.data_set);
    let is_complete = entry.is_some_and(|entry| entry.detail.is_complete());
    let scope = inputs.drop.clone();
    if is_complete { scope.without(excluded) } else { scope }
}

/// Refuses to drop a partitioned table with partitions in other schemas than `schema`.
pub(crate) fn refuse_foreign_partitions(
    client: &mut Client,
    schema: &str,
    dropped: &[CatalogObject],
) -> Result<()> {
    const SQL: &str = "\
        WITH RECURSIVE down (root, oid) AS ( \
          SELECT u, u FROM unnest($1::bigint[]) u \
          UNION SELECT down.root, i.inhrelid::bigint \
          FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.oid::oid) \
        SELECT down.root::oid::pg_catalog.regclass::text, c.oid::pg_catalog.regclass::text \
        FROM down JOIN pg_catalog.pg_class c ON c.oid = down.oid::oid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND n.nspname <> $2 ORDER BY 1, 2";
    let tables = dropped.iter().filter(|o| o.kind == ObjectKind::Table && !o.is_dependent);
    let tables: Vec<i64> = tables.map(|object| object.oid).collect();
    let what = "cannot read the target's catalog";
    let found = client.query(SQL, &[&tables, &schema]).map_err(db_error(what))?;
    let Some(first) = found.first() else { return Ok(()) };
    let (table, partition): (&str, &str) = (first.get(0), first.get(1));
    let what = format!("the run would drop partitions that are not in schema {}", quote(schema));
    let names = list_names(found.iter().map(|row| row.get::<_, String>(1)));
    Err(Error::refused(what)
        .caused_by(format!("partitions of tables that are dropped: {names}"))
        .hint(format!(
            "detach or drop them, such as: ALTER TABLE {table} DETACH PARTITION {partition}"
        )))
}

/// Refuses a target that is half loaded, or holds objects that the plan would create.
pub(crate) fn check_target(
    inputs: &PlanInputs<'_>,
    client: &mut Client,
    source: (&Connection, &Schema),
    entries: &[Entry],
    (existing, planned): (&[CatalogObject], &PlannedNames),
) -> Result<()> {
    if *inputs.drop == DropScope::Everything {
        return Ok(());
    }
    // Earlier runs of this run's own data sets were checked before.
    let of_others = |entry: &&Entry| !inputs.data_sets.contains(&entry.data_set.as_str());
    let half = |entry: &&Entry| !entry.detail.is_complete();
    if let Some(entry) = entries.iter().filter(of_others).find(half) {
        return Err(Error::refused(format!(
            "schema {} of the target is half loaded",
            quote(inputs.schema)
        ))
        .caused_by(format!("an earlier run of {} was not completed", quote(&entry.data_set)))
        .hint("complete that run first"));
    }
    // --clean drops what the run creates again, and an interrupted run may have created more.
    for entry in entries.iter().filter(|entry| !of_others(entry) && half(entry)) {
        let created = CreatedObjects::read(&entry.detail.created);
        let is_table = |object: &&CatalogObject| object.kind == ObjectKind::Table;
        if let Some(table) = existing.iter().filter(is_table).find(|object| created.has(object)) {
            return Err(Error::refused(format!(
                "schema {} of the target is half loaded",
                quote(inputs.schema)
            ))
            .caused_by(format!(
                "an interrupted run of {} created table {}, which this run does not create again",
                quote(&entry.data_set),
                quote(&table.name)
            ))
            .remedy("drop what that run created and start from scratch", &["--restart"]));
        }
    }
    let conflict =
        |object: &&CatalogObject| object.kind == ObjectKind::Table && planned.conflict(object);
    let tables: Vec<&str> =
        existing.iter().filter(conflict).map(|object| object.name.as_str()).collect();
    if row_counts::is_any(client, inputs.schema, &tables)? && !has_rows(source)? {
        return Err(swapped());
    }
    refuse_conflicts(existing, planned, inputs, entries)
}

/// Whether a table of the source has rows.
fn has_rows((connection, schema): (&Connection, &Schema)) -> Result<bool> {
    for table in &schema.tables {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quote(&table.name));
        let exists = connection.query_row(&sql, [], |row| row.get(0));
        if exists.map_err(|error| read_error(&table.name, error))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn refuse_conflicts(
    existing: &[CatalogObject],
    planned: &PlannedNames,
    inputs: &PlanInputs<'_>,
    entries: &[Entry],
) -> Result<()> {
    let schema = inputs.schema;
    let earlier = entries.iter().find(|entry| entry.data_set == inputs.data_set);
    let conflicts = |objects: &[CatalogObject]| -> Vec<String> {
        let conflicts = objects.iter().filter(|object| planned.conflict(object));
        conflicts
            .map(|object| format!("{} {}", object.kind.as_str(), quote(&object.name)))
            .collect()
    };
    let found = conflicts(existing);
    if found.is_empty() {
        return Ok(());
    }
    let error = Error::refused(format!("schema {} of the target is not empty", quote(schema)))
        .caused_by(format!("it has {}", list_names(found.into_iter())));
    let fingerprint = json!(inputs.source.fingerprint());
    let is_unchanged = earlier.is_some_and(|entry| entry.detail.source == fingerprint);
    let replaced = earlier.and_then(|entry| {
        let created = CreatedObjects::read(&entry.detail.created);
        existing.iter().find(|object| created.is_replaced_by(object))
    });
    let error = match (earlier.and_then(|entry| entry.detail.state), replaced) {
        (None, _) => error,
        (_, Some(table)) => error.caused_by(format!(
            "table {} is not the one that an earlier run created",
            quote(&table.name)
        )),
        (Some(state), None) => error
            .caused_by(match state {
                State::Verified if is_unchanged => {
                    "an earlier run with another selection of tables copied and verified it"
                }
                State::Verified => {
                    "an earlier run copied and verified it, and the source has changed since"
                }
                State::Live => {
                    "an earlier run copied it, and the provider was switched to it since"
                }
                State::Differs => "an earlier run copied it, and it differs from the source",
                _ => "an earlier run copied it without verifying it",
            })
            .remedy("compare both sides", &["--verify"])
            .remedy("drop what that run created and start from scratch", &["--restart"]),
    };
    let is_of_another = |entry: &&Entry| {
        let created = CreatedObjects::read(&entry.detail.created);
        entry.data_set != inputs.data_set
            && existing.iter().any(|object| planned.conflict(object) && created.has(object))
    };
    let another = entries.iter().find(is_of_another).map(|entry| quote(&entry.data_set));
    let error = match &another {
        None => error,
        Some(name) => error.caused_by(format!("a run of {name} created it")).hint(format!(
            "to keep what the run of {name} created, give each data set its own schema \
             (?options=-csearch_path=NAME in its URL) or its own database"
        )),
    };
    let effect = match &another {
        None => "drop only what the run creates again".to_owned(),
        Some(name) => format!("replace tables that the run of {name} created"),
    };
    // --clean does not drop an index, say, that has the name of a planned table.
    let scope = DropScope::Planned(CreatedObjects::default());
    let (_, remaining) = scope.split(existing.to_vec(), planned);
    let remaining = conflicts(&remaining);
    Err(match remaining.is_empty() {
        true => error.remedy(&effect, &["--clean"]),
        false => error.hint(format!("rename or drop {}", list_names(remaining.into_iter()))),
    })
}

/// Refuses tables with more columns than PostgreSQL allows.
pub(crate) fn refuse_wide_tables(schema: &Schema) -> Result<()> {
    let wide = schema.tables.iter().filter(|table| table.columns.len() > MAX_COLUMNS);
    let wide: Vec<&Table> = wide.collect();
    if wide.is_empty() {
        return Ok(());
    }
    let count = plural(wide.len() as u64, "table", "tables");
    let error = Error::refused(format!("PostgreSQL cannot store {count} of the source"));
    let error = wide.iter().fold(error, |error, table| {
        let (name, columns) = (quote(&table.name), table.columns.len());
        error.caused_by(format!("table {name} has {columns} columns; the maximum is 1,600"))
    });
    let names: Vec<&str> = wide.iter().map(|table| table.name.as_str()).collect();
    Err(error.remedy_exclude(&names))
}

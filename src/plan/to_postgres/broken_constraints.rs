//! Constraints that existing rows of the source break. PostgreSQL takes them for new rows only.

use crate::error::{Error, Result, plural};
use crate::options::plan_options::PlanOptions;
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::texts::list_names;
use crate::plan::to_postgres::model::{PlannedForeignKey, ToPostgres};
use crate::plan::to_postgres::source_checks::key_label;
use crate::schema::ddl::quote_list;
use crate::schema::expression::Collation;
use crate::schema::names::quote;
use crate::schema::{LeftOut, RowAddress, Schema, Table};
use crate::sqlite::catalog::model::{Catalog, FieldOver, IndexOrigin, UniqueIndex};
use crate::sqlite::read::chunk_reader::{CHECK_SOURCE, REPAIR_SOURCE, read_error};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::read::profile::unique::IndexProfile;
use crate::sqlite::read::query::TableQuery;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Adds NOT VALID to each CHECK that rows break, and lists it.
pub(crate) fn list_broken_checks(
    connection: &Connection,
    schema: &Schema,
    plan: &mut Plan<ToPostgres>,
) -> Result<()> {
    for (table, planned) in schema.tables.iter().zip(&mut plan.tables) {
        for check in &mut planned.finish.checks {
            let Some(condition) = &check.left_out.definition else { continue };
            let Some(count) = broken_rows(connection, table, condition) else { continue };
            check.sql.push_str(" NOT VALID");
            let rows = plural(count, "row breaks", "rows break");
            let reason = format!("{rows} it; it holds for new rows only (NOT VALID)");
            plan.left_out.push(LeftOut { reason, ..check.left_out.clone() });
        }
    }
    Ok(())
}

/// Rows that break a CHECK; `None` if there are none, or SQLite cannot evaluate the condition.
fn broken_rows(connection: &Connection, table: &Table, condition: &str) -> Option<u64> {
    let sql =
        format!("SELECT count(*) FROM {} NOT INDEXED WHERE NOT ({condition})", quote(&table.name));
    let mut statement = connection.prepare(&sql).ok()?;
    let count: i64 = statement.query_row([], |row| row.get(0)).ok()?;
    u64::try_from(count).ok().filter(|count| *count > 0)
}

/// Lists foreign keys with rows that have no parent. The server finds such rows much faster once all
/// rows are copied; so the keys that are not counted within `limit` are only named.
pub(crate) fn list_orphans(
    connection: &Connection,
    plan: &mut Plan<ToPostgres>,
    limit: Option<Duration>,
) -> Result<()> {
    let started = Instant::now();
    let mut uncounted = Vec::new();
    for key in &plan.objects.foreign_keys {
        let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
        match within(connection, left, || orphans(connection, &plan.tables, key))? {
            Some(tally) if tally.count > 0 => plan.left_out.push(key.listed(&tally)),
            Some(_) => {}
            None => uncounted.push(quote(&key.ddl.name)),
        }
    }
    if !uncounted.is_empty() {
        let count = plural(uncounted.len() as u64, "foreign key", "foreign keys");
        let names = list_names(uncounted.into_iter());
        plan.notes.push(format!(
            "rows without a parent are counted only after the copy for {count}: {names} \
             (--strict counts them before)"
        ));
    }
    Ok(())
}

/// Runs `work` in SQLite; `None` if it takes longer than `limit`.
fn within<T>(
    connection: &Connection,
    limit: Option<Duration>,
    work: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    let Some(limit) = limit else { return work().map(Some) };
    if limit.is_zero() {
        return Ok(None);
    }
    let handle = connection.get_interrupt_handle();
    let (working, ended) = mpsc::channel::<()>();
    let result = std::thread::scope(|scope| {
        let timer = scope.spawn(move || {
            let is_late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if is_late {
                handle.interrupt();
            }
            is_late
        });
        let result = work();
        drop(working);
        (result, timer.join().unwrap_or(false))
    });
    match result {
        (Err(error), true) if Error::is_interrupted(&error) => Ok(None),
        (result, _) => result.map(Some),
    }
}

/// The child rows of a foreign key without a parent, compared by bytes as the server does.
fn orphans(
    connection: &Connection,
    tables: &[PlannedTable<ToPostgres>],
    key: &PlannedForeignKey,
) -> Result<Tally> {
    let child = &tables[key.child];
    let on = |prefix: &str, name: &String| format!("{prefix}.{}", quote(name));
    let not_null: Vec<String> =
        key.columns.iter().map(|name| format!("{} IS NOT NULL", on("c", name))).collect();
    let joined: Vec<String> = key
        .columns
        .iter()
        .zip(&key.parent_columns)
        .map(|(child, parent)| format!("{} = {} COLLATE BINARY", on("p", parent), on("c", child)))
        .collect();
    let row = match &child.read.query.address {
        RowAddress::Integer { column } => on("c", column),
        _ => "NULL".to_owned(),
    };
    let from = format!(
        "FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
        quote(&child.name),
        not_null.join(" AND "),
        quote(&tables[key.parent].name),
        joined.join(" AND "),
    );
    let failed = |error| read_error(&child.name, error);
    let count: i64 = connection
        .query_row(&format!("SELECT count(*) {from}"), [], |row| row.get(0))
        .map_err(failed)?;
    let mut tally = Tally { count: count.unsigned_abs(), first_rows: Vec::new() };
    if count > 0 && row != "NULL" {
        let sql = format!("SELECT {row} {from} ORDER BY {row} LIMIT 3");
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let first_rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        tally.first_rows = first_rows.collect::<rusqlite::Result<_>>().map_err(failed)?;
    }
    Ok(tally)
}

/// The damage of a unique index or key of the source.
pub(crate) struct IndexDamage {
    /// The reason by which it is listed.
    pub(crate) reason: String,
    /// Rows have equal keys, so it cannot be unique.
    pub(crate) has_duplicates: bool,
}

/// The rows with equal keys that a message names at most.
const MAX_DUPLICATES: usize = 6;

/// Finds the unique indexes and keys of the source that are out of step with their tables, by table
/// and label. Refused if rows have equal keys and the options do not allow it.
pub(crate) fn find_index_damage(
    connection: &Connection,
    catalog: &Catalog,
    queries: &[TableQuery],
    profiles: &[TableProfile],
    options: &PlanOptions,
) -> Result<HashMap<(usize, String), IndexDamage>> {
    let mut found = HashMap::new();
    let mut duplicates = Vec::new();
    for (number, (table, profile)) in catalog.schema.tables.iter().zip(profiles).enumerate() {
        let Some(facts) = catalog.facts.get(&table.name) else { continue };
        let mut keys = usize::from(table.primary_key.is_some());
        for (index, profile) in facts.unique_indexes.iter().zip(&profile.unique) {
            let label = match index.origin {
                IndexOrigin::PrimaryKey => key_label(0),
                IndexOrigin::Created => index.name.clone(),
                IndexOrigin::Unique => {
                    keys += 1;
                    key_label(keys - 1)
                }
            };
            if profile.unreadable.is_some() || profile.is_sound() {
                continue;
            }
            let mut damage = damage(connection, table, &queries[number], (index, profile))?;
            if damage.has_duplicates {
                let cause = format!("{}: {}", describe(table, index), damage.reason);
                duplicates.push((table.name.as_str(), cause));
                damage.reason.push_str("; it becomes an index that is not unique");
            }
            found.insert((number, label), damage);
        }
    }
    if duplicates.is_empty() || options.allow_duplicates {
        return Ok(found);
    }
    let keys = plural(duplicates.len() as u64, "unique key", "unique keys");
    let error = Error::refused(format!("the source is damaged: rows have equal values of {keys}"));
    let mut tables: Vec<&str> = duplicates.iter().map(|(table, _)| *table).collect();
    tables.dedup();
    let error = duplicates.iter().fold(error, |error, (_, cause)| error.caused_by(cause));
    let error = error.hint(CHECK_SOURCE).hint(REPAIR_SOURCE);
    let error = match options.strict {
        // It would refuse the weaker index.
        true => error,
        false => {
            error.remedy("copy all rows, with indexes that are not unique", &["--allow=duplicates"])
        }
    };
    Err(error.remedy_exclude(&tables))
}

/// Notes on unique indexes that could not be compared with their tables.
pub(crate) fn note_unchecked(catalog: &Catalog, profiles: &[TableProfile]) -> Vec<String> {
    let tables = catalog.schema.tables.iter().zip(profiles).flat_map(|(table, profile)| {
        let indexes = catalog.facts.get(&table.name).map(|facts| &facts.unique_indexes);
        let indexes = indexes.into_iter().flatten().zip(&profile.unique);
        indexes.filter_map(move |(index, profile)| {
            let why = profile.unreadable.as_ref()?;
            Some(format!("{}, was not compared with the rows: {why}", describe(table, index)))
        })
    });
    tables.collect()
}

fn describe(table: &Table, index: &UniqueIndex) -> String {
    let columns = index.fields[..index.terms].iter().filter_map(|field| match &field.over {
        FieldOver::Column(name) => Some(name.clone()),
        _ => None,
    });
    let columns = quote_list(&columns.collect::<Vec<_>>());
    let what = match index.origin {
        IndexOrigin::PrimaryKey => format!("primary key ({columns})"),
        IndexOrigin::Unique => format!("unique key ({columns})"),
        IndexOrigin::Created => format!("unique index {}", quote(&index.name)),
    };
    format!("table {}, {what}", quote(&table.name))
}

/// Describes the damage of an index, with the rows that have equal keys.
fn damage(
    connection: &Connection,
    table: &Table,
    query: &TableQuery,
    (index, profile): (&UniqueIndex, &IndexProfile),
) -> Result<IndexDamage> {
    let failed = |error| read_error(&table.name, error);
    let terms = index.fields[..index.terms].iter().map(|field| {
        // The sign keeps SQLite from trusting the order of an index.
        let over = match &field.over {
            FieldOver::Column(name) => format!("+{}", quote(name)),
            FieldOver::Rowid => "+rowid".to_owned(),
            FieldOver::Expression(sql) => format!("+({sql})"),
        };
        let collation = match &field.collation {
            Collation::Other(_) => "BINARY",
            known => known.as_sql(),
        };
        (format!("{over} COLLATE {collation}"), format!("{over} IS NOT NULL"))
    });
    let (terms, given): (Vec<String>, Vec<String>) = terms.unzip();
    let filter = index.filter.iter().map(|filter| format!("({filter})"));
    let given: Vec<String> = given.into_iter().chain(filter).collect();
    let (terms, given) = (terms.join(", "), given.join(" AND "));
    let from = format!("FROM {} NOT INDEXED WHERE {given}", quote(&table.name));
    let sql = format!(
        "SELECT count(*), coalesce(sum(n), 0) FROM \
         (SELECT count(*) AS n {from} GROUP BY {terms} HAVING count(*) > 1)"
    );
    let (keys, rows): (i64, i64) =
        connection.query_row(&sql, [], |row| row.try_into()).map_err(failed)?;
    if keys == 0 {
        let reason = format!("{}; PostgreSQL builds it from the rows", difference(profile));
        return Ok(IndexDamage { reason, has_duplicates: false });
    }
    let first = match &query.address {
        RowAddress::Integer { column } => {
            let row = quote(column);
            let sql = format!(
                "SELECT r FROM (SELECT {row} AS r, min({row}) OVER w AS first, count(*) OVER w AS n \
                 {from} WINDOW w AS (PARTITION BY {terms})) \
                 WHERE n > 1 ORDER BY first, r LIMIT {MAX_DUPLICATES}"
            );
            let mut statement = connection.prepare(&sql).map_err(failed)?;
            let first = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(failed)?;
            let first = first.map(|row| row.map(|row| row.to_string()));
            let first = first.collect::<rusqlite::Result<Vec<String>>>().map_err(failed)?;
            let more = if rows.unsigned_abs() as usize > first.len() { "first " } else { "" };
            format!(" ({more}rowids {})", first.join(", "))
        }
        _ => String::new(),
    };
    let rows = plural(rows.unsigned_abs(), "row shares", "rows share");
    let keys = plural(keys.unsigned_abs(), "key", "keys");
    let reason = format!("{}, and {rows} {keys}{first}", difference(profile));
    Ok(IndexDamage { reason, has_duplicates: true })
}

/// How the entries of a damaged index differ from the rows.
fn difference(profile: &IndexProfile) -> String {
    let IndexProfile { keys, entries, .. } = profile;
    let what = match keys.rows == entries.rows {
        _ if profile.is_malformed => "SQLite calls its pages malformed".to_owned(),
        true if keys == entries => "its entries are not in order".to_owned(),
        true => "its entries differ from the rows".to_owned(),
        false => format!(
            "it has {} for {}",
            plural(entries.rows, "entry", "entries"),
            plural(keys.rows, "row", "rows")
        ),
    };
    format!("damaged in the source: {what}")
}

//! Constraints that existing rows of the source break. PostgreSQL takes them for new rows only.

use crate::error::{Error, Result, plural};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::texts::list_names;
use crate::plan::to_postgres::model::{PlannedForeignKey, ToPostgres};
use crate::schema::names::quote;
use crate::schema::{LeftOut, RowAddress, Schema, Table};
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::profile::column::Tally;
use rusqlite::Connection;
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
    let sql = format!("SELECT count(*) FROM {} WHERE NOT ({condition})", quote(&table.name));
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

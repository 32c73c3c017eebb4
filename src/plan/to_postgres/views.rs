//! The views of a plan. A view is translated after the views that it reads, whose types it needs.

use crate::plan::model::{OptionalDdl, PlannedTable};
use crate::plan::texts::{column_renamed, renamed};
use crate::plan::to_postgres::ddl::definitions::{Definitions, column_names};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::sql::from_sqlite::scope::ScopeColumn;
use crate::postgres::sql::from_sqlite::select::{self, Readable};
use crate::schema::names::{qualify, quote};
use crate::schema::{LeftOut, ObjectKind, Schema, View};
use crate::sqlite::sql::parse::view::{self, Refusal, Relation};
use rusqlite::Connection;

/// A table or view that views can read.
struct Known {
    /// Its form in SQLite.
    relation: Relation,
    /// Its qualified name in the target.
    target: String,
    columns: Vec<ScopeColumn>,
}

/// Defines the views, each after those that it reads, and lists those that cannot be migrated.
/// `connection` gives the names of a view's columns, and shows whether SQLite can read it.
pub(crate) fn define(
    connection: &Connection,
    tables: &[PlannedTable<ToPostgres>],
    definitions: &mut Definitions<'_>,
    left_out: &mut Vec<LeftOut>,
) -> Vec<OptionalDdl> {
    let schema = definitions.schema();
    let mut known: Vec<Known> = tables
        .iter()
        .enumerate()
        .map(|(index, table)| of_table(schema, index, table, definitions))
        .collect();
    let mut defined = Vec::new();
    let mut pending: Vec<usize> = (0..schema.views.len()).collect();
    while !pending.is_empty() {
        let round = std::mem::take(&mut pending);
        let size = round.len();
        for index in round {
            let view = &schema.views[index];
            let name = definitions.view_names[index].clone();
            let target = qualify(definitions.schema_name, &name);
            match translated(connection, view, &target, &known) {
                Ok((one, select)) => {
                    definitions.notes.extend(renamed("view", &view.name, &name));
                    definitions.notes.extend(one.columns.iter().filter_map(|column| {
                        column_renamed(("view", &view.name), &column.name, &column.target)
                    }));
                    defined.push(OptionalDdl {
                        what: format!("view {}", quote(&view.name)),
                        sql: create(&one, &select),
                        note: None,
                        name,
                        left_out: listed(view, String::new()),
                    });
                    known.push(one);
                }
                Err(Refusal::Unknown(other)) if is_undecided(&other, schema, &known, left_out) => {
                    pending.push(index);
                }
                Err(Refusal::Unknown(other)) => {
                    left_out.push(listed(view, unreadable(&other, left_out)));
                }
                Err(Refusal::Construct(reason)) => left_out.push(listed(view, reason)),
            }
        }
        if pending.len() == size {
            let circular = |index| listed(&schema.views[index], "reads itself".to_owned());
            left_out.extend(std::mem::take(&mut pending).into_iter().map(circular));
        }
    }
    defined
}

fn of_table(
    schema: &Schema,
    index: usize,
    definition: &PlannedTable<ToPostgres>,
    definitions: &Definitions<'_>,
) -> Known {
    let table = &schema.tables[index];
    let rowid_alias = table.columns.iter().find(|column| column.identity);
    Known {
        relation: Relation {
            name: table.name.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            rowid_alias: rowid_alias.map(|column| column.name.clone()),
        },
        target: definition.ddl.qualified(),
        columns: definitions.scope_columns(index, &definition.columns),
    }
}

/// The view in the target, and its SELECT.
fn translated(
    connection: &Connection,
    view: &View,
    target: &str,
    known: &[Known],
) -> Result<(Known, String), Refusal> {
    let find = |name: &str| known.iter().find(|one| one.relation.name.eq_ignore_ascii_case(name));
    let select = view::view(&view.definition, &|name| Some(find(name)?.relation.clone()))?;
    // SQLite prepares it only now that it cannot read a virtual table.
    let names = result_names(connection, view)?;
    let selected = select::select(&select, &|name| {
        let one = find(name)?;
        Some(Readable { target: &one.target, columns: &one.columns })
    })?;
    if names.len() != selected.columns.len() {
        return Err(Refusal::Construct("has other columns than its SELECT".to_owned()));
    }
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let given = column_names(&wanted);
    let columns = selected.columns.into_iter().zip(&names).zip(given);
    let columns = columns
        .map(|((column, name), target)| ScopeColumn { name: name.clone(), target, ..column })
        .collect();
    let relation = Relation { name: view.name.clone(), columns: names, rowid_alias: None };
    Ok((Known { relation, target: target.to_owned(), columns }, selected.sql))
}

/// The names of a view's columns as SQLite gives them.
fn result_names(connection: &Connection, view: &View) -> Result<Vec<String>, Refusal> {
    let refused = |error| {
        let reason = match error {
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            other => other.to_string(),
        };
        Refusal::Construct(format!("cannot be read by SQLite: {reason}"))
    };
    let statement = connection
        .prepare(&format!("SELECT * FROM main.{}", quote(&view.name)))
        .map_err(refused)?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

fn create(view: &Known, select: &str) -> String {
    let columns: Vec<String> = view.columns.iter().map(|column| quote(&column.target)).collect();
    format!("CREATE VIEW {} ({}) AS {select}", view.target, columns.join(", "))
}

/// Whether this is a view that is neither defined nor listed yet.
fn is_undecided(name: &str, schema: &Schema, known: &[Known], left_out: &[LeftOut]) -> bool {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    schema.views.iter().any(|view| same(&view.name))
        && !known.iter().any(|one| same(&one.relation.name))
        && !left_out.iter().any(|left| left.kind == ObjectKind::View && same(&left.name))
}

/// The reason why a view cannot read this relation.
fn unreadable(name: &str, left_out: &[LeftOut]) -> String {
    let relation = |kind| {
        use ObjectKind::{ShadowTable, Table, View, VirtualTable};
        matches!(kind, Table | VirtualTable | ShadowTable | View)
    };
    let listed = |left: &LeftOut| relation(left.kind) && left.name.eq_ignore_ascii_case(name);
    let internal = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"));
    let why = if internal || left_out.iter().any(listed) { "not migrated" } else { "missing" };
    format!("reads {}, which is {why}", quote(name))
}

fn listed(view: &View, reason: String) -> LeftOut {
    LeftOut::object(ObjectKind::View, &view.name, Some(&view.definition)).because(reason)
}

//! The expected schema from a plan.

use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::plan::to_sqlite::model::ToSqlite;
use crate::schema::{Check, ForeignKey, Index, Key, LeftOut, Table};
use crate::sqlite::sql::ddl::ColumnKey;
use crate::verify::schema_check::expected::{Expected, ExpectedTable, column, key};

/// The schema that a plan creates in PostgreSQL, without the objects in `left_out`.
pub(crate) fn for_postgres(plan: &Plan<ToPostgres>, left_out: &[LeftOut]) -> Expected {
    let kept = |one: &LeftOut| !left_out.iter().any(|left| left.is_same(one));
    let mut tables: Vec<ExpectedTable> =
        plan.tables.iter().map(|table| postgres_table(table, &kept)).collect();
    for planned in plan.objects.foreign_keys.iter().filter(|key| kept(&key.left_out)) {
        let ddl = &planned.ddl;
        let key = ForeignKey {
            columns: ddl.columns.clone(),
            parent: plan.tables[planned.parent].ddl.name.clone(),
            parent_columns: ddl.parent_columns.clone(),
            ..ForeignKey::default()
        };
        tables[planned.child].target.iter_mut().for_each(|t| t.foreign_keys.push(key.clone()));
    }
    let views = plan.objects.views.iter().filter(|view| kept(&view.left_out));
    let views = views.map(|view| view.name.clone()).collect();
    Expected { tables, views, planned: true, ..Expected::default() }
}

fn postgres_table(
    table: &PlannedTable<ToPostgres>,
    kept: &dyn Fn(&LeftOut) -> bool,
) -> ExpectedTable {
    let mut target = Table {
        columns: table
            .ddl
            .columns
            .iter()
            .map(|ddl| column(&ddl.name, ddl.not_null, ddl.identity.is_some()))
            .collect(),
        sequence: table.finish.sequence.as_ref().map(|(_, highest)| *highest),
        name: table.ddl.name.clone(),
        ..Table::default()
    };
    for planned in &table.finish.keys {
        // A key that cannot be a constraint is a unique index, over expressions.
        if planned.constraint.is_none() {
            target.indexes.push(named_index(&planned.name));
            continue;
        }
        let columns = table.columns.iter();
        let columns = columns.filter(|column| planned.columns.contains(&column.name));
        let key = key(Some(&planned.name), columns.map(|column| column.target_name.clone()));
        if planned.what.starts_with("primary key") {
            target.primary_key = Some(key);
        } else {
            target.uniques.push(key);
        }
    }
    let indexes = table.indexes.iter().filter(|index| kept(&index.left_out));
    target.indexes.extend(indexes.map(|index| named_index(&index.name)));
    let checks = table.finish.checks.iter().filter(|check| kept(&check.left_out));
    target.checks = checks.map(|check| named_check(Some(&check.name))).collect();
    let columns = table.columns.iter().map(|column| column.name.clone()).collect();
    ExpectedTable { name: table.name.clone(), columns, target: Some(target) }
}

/// The schema that a plan creates in a SQLite file.
pub(crate) fn for_sqlite(plan: &Plan<ToSqlite>) -> Expected {
    let tables = plan.tables.iter().map(sqlite_table).collect();
    Expected { tables, planned: true, ..Expected::default() }
}

fn sqlite_table(table: &PlannedTable<ToSqlite>) -> ExpectedTable {
    let ddl = &table.ddl;
    // Those that PostgreSQL lacks exist only if no row breaks them.
    let checks = ddl.checks.iter().take(ddl.checks.len() - table.finish.lost_checks);
    let is_automatic =
        ddl.columns.iter().any(|column| column.key == Some(ColumnKey::Autoincrement));
    let foreign_keys = ddl.foreign_keys.iter().map(|key| ForeignKey {
        columns: key.columns.clone(),
        parent: key.parent.clone(),
        parent_columns: key.parent_columns.clone(),
        ..ForeignKey::default()
    });
    let target = Table {
        columns: ddl.columns.iter().map(|ddl| column(&ddl.name, ddl.not_null, false)).collect(),
        primary_key: ddl.primary_key.as_ref().map(unnamed),
        uniques: ddl.uniques.iter().map(unnamed).collect(),
        foreign_keys: foreign_keys.collect(),
        checks: checks.map(|(name, _)| named_check(name.as_deref())).collect(),
        indexes: table.indexes.iter().map(|index| named_index(&index.name)).collect(),
        sequence: is_automatic.then(|| table.finish.sequence.unwrap_or(0)),
        name: ddl.name.clone(),
        ..Table::default()
    };
    let columns = table.columns.iter().map(|column| column.name.clone()).collect();
    ExpectedTable { name: table.name.clone(), columns, target: Some(target) }
}

fn unnamed(one: &Key) -> Key {
    key(None, one.names().map(str::to_owned))
}

/// An index that is known by its name alone.
fn named_index(name: &str) -> Index {
    Index { name: name.to_owned(), ..Index::default() }
}

/// A check of which only the name is compared: the databases spell the condition differently.
fn named_check(name: Option<&str>) -> Check {
    Check { name: name.map(str::to_owned), ..Check::default() }
}

//! The original CREATE TABLE statements: a table whose planned definition means the same as the
//! statement that its note keeps is created by that statement, with its spelling and comments.

use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::catalog::model::Catalog;
use crate::schema::expression::Sql;
use crate::schema::{ObjectKind, Table};
use crate::sqlite::catalog as sqlite_catalog;
use crate::sqlite::catalog::model::Catalog as SqliteCatalog;
use crate::sqlite::sql::parse::kept::created;
use rusqlite::Connection;
use std::collections::HashMap;

/// Takes the original statements where they mean the same.
pub(crate) fn keep(catalog: &Catalog, plan: &mut Plan<ToSqlite>) -> Result<()> {
    let mut originals = HashMap::new();
    for table in &plan.tables {
        let text = catalog.facts[&table.name].origin["table"].as_str();
        let is_its = |text: &&str| {
            created(text).is_some_and(|c| c.kind == ObjectKind::Table && c.name == table.ddl.name)
        };
        originals.extend(text.filter(is_its).map(|text| (table.ddl.name.clone(), text)));
    }
    if originals.is_empty() {
        return Ok(());
    }
    let planned = plan.tables.iter().map(|table| (&table.ddl.name, table.ddl.create()));
    let (planned, former) = (read(planned)?, read(originals.iter())?);
    for table in &mut plan.tables {
        let name = &table.ddl.name;
        let pair = find(&planned, name).zip(find(&former, name));
        let same_facts =
            planned.facts.get(name).zip(former.facts.get(name)).is_some_and(|(a, b)| {
                (a.without_rowid, a.strict, a.autoincrement)
                    == (b.without_rowid, b.strict, b.autoincrement)
            });
        if let Some((one, other)) = pair.filter(|(one, other)| same_facts && is_same(one, other)) {
            table.ddl.original = originals.get(name).map(|&text| text.to_owned());
            // SQLite numbers the foreign keys in the order of the original statement.
            let keys = std::mem::take(&mut table.ddl.foreign_keys).into_iter();
            let keys = keys.zip(std::mem::take(&mut table.finish.enforced));
            let mut keys: Vec<_> = keys.zip(&one.foreign_keys).collect();
            keys.sort_by_key(|(_, key)| other.foreign_keys.iter().position(|k| k == *key));
            (table.ddl.foreign_keys, table.finish.enforced) =
                keys.into_iter().map(|(key, _)| key).unzip();
        }
    }
    Ok(())
}

/// The catalog of an empty database with these tables. Those that SQLite refuses are missing.
fn read<N>(statements: impl Iterator<Item = (N, impl AsRef<str>)>) -> Result<SqliteCatalog> {
    let connection = Connection::open_in_memory().map_err(|error| {
        Error::failed("cannot run the definitions in an empty database").caused_by(error)
    })?;
    for (_, sql) in statements {
        // A refused statement is not the original one.
        drop(connection.execute_batch(sql.as_ref()));
    }
    sqlite_catalog::read(&connection)
}

fn find<'c>(catalog: &'c SqliteCatalog, name: &str) -> Option<&'c Table> {
    catalog.schema.tables.iter().find(|table| table.name == name)
}

/// Whether two tables are the same, whatever the order of their constraints.
fn is_same(one: &Table, other: &Table) -> bool {
    fn same_set<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        one.len() == other.len() && one.iter().all(|item| other.contains(item))
    }
    let same_sql = |one: Option<&Sql>, other: Option<&Sql>| match (one, other) {
        (Some(one), Some(other)) if one.tree.is_some() => one.tree == other.tree,
        (one, other) => one == other,
    };
    let mut columns = one.columns.iter().zip(&other.columns);
    one.columns.len() == other.columns.len()
        && columns.all(|(one, other)| {
            let (a, b) = (one.generated.as_ref(), other.generated.as_ref());
            (&one.name, &one.declared, one.not_null, &one.collation, one.identity, one.conflict)
                == (
                    &other.name,
                    &other.declared,
                    other.not_null,
                    &other.collation,
                    other.identity,
                    other.conflict,
                )
                && same_sql(one.default.as_ref(), other.default.as_ref())
                && same_sql(a.map(|rule| &rule.expression), b.map(|rule| &rule.expression))
                && a.map(|rule| rule.stored) == b.map(|rule| rule.stored)
        })
        && one.primary_key == other.primary_key
        && same_set(&one.uniques, &other.uniques)
        && same_set(&one.foreign_keys, &other.foreign_keys)
        && same_set(&one.checks, &other.checks)
}

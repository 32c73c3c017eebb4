//! Ordinary tables.

use crate::error::{Error, Result};
use crate::schema::expression::Collation;
use crate::schema::{Column, Key, KeyColumn, LeftOut, ObjectKind, RowAddress, Table, names};
use crate::sqlite::catalog::model::TableFacts;
use crate::sqlite::catalog::query::Entry;
use crate::sqlite::catalog::{columns, constraints, indexes};
use crate::sqlite::sql::parse::create::{self, Names, TableText};
use rusqlite::Connection;

/// Reads one ordinary table.
pub(crate) fn read(
    connection: &Connection,
    entry: &Entry,
    entries: &[Entry],
    left_out: &mut Vec<LeftOut>,
) -> Result<(Table, TableFacts)> {
    let raw = columns::read(connection, &entry.name)?;
    if raw.is_empty() {
        return Err(Error::refused(format!(
            "SQLite lists no columns for table {}",
            names::quote(&entry.name)
        ))
        .hint("the table's entry in sqlite_schema is damaged: run \"PRAGMA integrity_check\" on a copy"));
    }
    let indexes = indexes::read(connection, &entry.name)?;
    let key_index = indexes.iter().find(|index| index.origin == "pk");
    // A primary key without an index is an alias of the rowid.
    let alias = raw.iter().find(|column| column.key > 0 && key_index.is_none());
    let alias = alias.map(|column| column.name.as_str());
    let without_rowid = key_index.is_some_and(|index| !index.has_rowid());
    let column_names: Vec<String> = raw.iter().map(|column| column.name.clone()).collect();
    let naming = Names { table: &entry.name, columns: &column_names, rowid_alias: alias };
    let definition = entry.sql.clone().unwrap_or_default();
    let text = create::table(&definition, &naming).unwrap_or_else(|| {
        list_unparsed(&entry.name, &definition, left_out);
        TableText::default()
    });
    let mut autoincrement = false;
    let columns = raw
        .iter()
        .map(|raw| {
            let (collation, automatic) =
                columns::collation_and_autoincrement(connection, &entry.name, &raw.name)?;
            autoincrement |= automatic;
            Ok(columns::column(raw, collation, alias, &text))
        })
        .collect::<Result<Vec<_>>>()?;
    let primary_key = constraints::primary_key(&columns, alias, key_index, &text);
    let address = address(&columns, alias, without_rowid, primary_key.as_ref());
    let created = indexes::created(&entry.name, entries, &indexes, &naming);
    let unique_indexes = indexes::unique(&indexes, &created);
    let table = Table {
        uniques: constraints::uniques(&indexes, &text),
        foreign_keys: constraints::foreign_keys(connection, &entry.name, &text)?,
        indexes: created,
        checks: text.checks,
        name: entry.name.clone(),
        columns,
        primary_key,
        address,
        sequence: None,
    };
    let strict = text.strict;
    let facts = TableFacts { without_rowid, strict, autoincrement, definition, unique_indexes };
    Ok((table, facts))
}

/// Lists the objects that are lost when a CREATE TABLE statement cannot be parsed.
fn list_unparsed(table: &str, definition: &str, left_out: &mut Vec<LeftOut>) {
    let upper = definition.to_ascii_uppercase();
    for (word, kind) in [("CHECK", ObjectKind::Check), ("AS", ObjectKind::GeneratedColumn)] {
        if upper.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == word) {
            let reason = "migrate cannot parse the CREATE TABLE statement";
            left_out.push(LeftOut::part(kind, table, "", Some(definition)).because(reason));
        }
    }
}

fn address(
    columns: &[Column],
    alias: Option<&str>,
    without_rowid: bool,
    key: Option<&Key>,
) -> RowAddress {
    if without_rowid {
        // Rows are found by comparing columns under the columns' collations. The key must use the
        // same ones, and SQLite must know them without the application.
        let ranges = |term: &KeyColumn| {
            !term.descending
                && !matches!(term.collation, Collation::Other(_))
                && columns.iter().any(|c| c.name == term.name && c.collation == term.collation)
        };
        return match key {
            Some(key) if key.columns.iter().all(ranges) => RowAddress::Key {
                columns: key.columns.iter().map(|column| column.name.clone()).collect(),
            },
            _ => RowAddress::Ordinal,
        };
    }
    let free = |name: &&str| !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let column = alias.or_else(|| ["rowid", "_rowid_", "oid"].into_iter().find(free));
    column.map_or(RowAddress::Ordinal, |column| RowAddress::Integer { column: column.to_owned() })
}

//! Constraints: primary keys, unique keys and foreign keys.

use crate::error::Result;
use crate::schema::{Action, Column, ForeignKey, Key, KeyColumn, Table};
use crate::sqlite::catalog::indexes::{RawIndex, RawTerm};
use crate::sqlite::catalog::query::{optional_text, query, text, unreadable};
use crate::sqlite::sql::parse::create::TableText;
use rusqlite::Connection;
use std::collections::HashMap;

/// The primary key: of its index, or of the rowid's alias.
pub(crate) fn primary_key(
    columns: &[Column],
    alias: Option<&str>,
    index: Option<&RawIndex>,
    text: &TableText,
) -> Option<Key> {
    let (name, conflict) = text.primary_key.clone();
    if let Some(index) = index {
        return Some(Key { name, columns: key_columns(index), conflict });
    }
    let column = columns.iter().find(|column| Some(column.name.as_str()) == alias)?;
    let column = KeyColumn {
        name: column.name.clone(),
        collation: column.collation.clone(),
        descending: false,
    };
    Some(Key { name, columns: vec![column], conflict })
}

fn key_columns(index: &RawIndex) -> Vec<KeyColumn> {
    let column = |term: &RawTerm| KeyColumn {
        name: term.column.clone().unwrap_or_default(),
        collation: term.collation.clone(),
        descending: term.descending,
    };
    index.terms.iter().map(column).collect()
}

/// The UNIQUE constraints. Their names and conflict clauses are found by their columns: SQLite has no index for a
/// constraint that repeats another.
pub(crate) fn uniques(indexes: &[RawIndex], text: &TableText) -> Vec<Key> {
    let mut named: Vec<_> = text.uniques.iter().collect();
    let mut take_text = |columns: &[KeyColumn]| {
        let index = named.iter().position(|(_, written, _)| {
            written.len() == columns.len()
                && written.iter().zip(columns).all(|(w, c)| w.eq_ignore_ascii_case(&c.name))
        })?;
        let (name, _, conflict) = named.remove(index);
        Some((name.clone(), *conflict))
    };
    indexes
        .iter()
        .filter(|index| index.origin == "u")
        .map(|index| {
            let columns = key_columns(index);
            let (name, conflict) = take_text(&columns).unwrap_or_default();
            Key { name, columns, conflict }
        })
        .collect()
}

/// The foreign keys of a table. [`resolve_parents`] completes them when all tables are known.
pub(crate) fn foreign_keys(
    connection: &Connection,
    table: &str,
    declared: &TableText,
) -> Result<Vec<ForeignKey>> {
    // SQLite numbers foreign keys from the last to the first.
    let rows = query(
        connection,
        "SELECT id, \"table\", \"from\", \"to\", on_delete, on_update \
         FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq",
        Some(table),
        |row| {
            let id: i64 = row.get(0).map_err(unreadable)?;
            let actions = (action(&text(row, 4)?), action(&text(row, 5)?));
            Ok((id, text(row, 1)?, text(row, 2)?, optional_text(row, 3)?, actions))
        },
    )?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for (id, parent, from, to, (on_delete, on_update)) in rows {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            keys.push((id, ForeignKey { parent, on_delete, on_update, ..ForeignKey::default() }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.parent_columns.extend(to);
        }
    }
    let mut keys: Vec<ForeignKey> = keys.into_iter().map(|(_, key)| key).collect();
    if keys.len() == declared.foreign_keys.len() {
        for (key, (name, deferrable)) in keys.iter_mut().zip(&declared.foreign_keys) {
            key.name.clone_from(name);
            key.deferrable = *deferrable;
        }
    }
    Ok(keys)
}

fn action(text: &str) -> Action {
    Action::ALL.into_iter().find(|action| action.as_sql() == text).unwrap_or_default()
}

/// Spells the parents of foreign keys as the parent tables do, and adds the parent's primary key
/// where no columns are written.
pub(crate) fn resolve_parents(tables: &mut [Table]) {
    let parents: HashMap<String, (String, Vec<String>, Vec<String>)> = tables
        .iter()
        .map(|table| {
            let key = table.primary_key.iter().flat_map(|key| &key.columns);
            let entry = (
                table.name.clone(),
                table.columns.iter().map(|column| column.name.clone()).collect(),
                key.map(|column| column.name.clone()).collect(),
            );
            (table.name.to_ascii_lowercase(), entry)
        })
        .collect();
    for key in tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
        let Some((name, columns, primary)) = parents.get(&key.parent.to_ascii_lowercase()) else {
            continue;
        };
        key.parent.clone_from(name);
        if key.parent_columns.is_empty() {
            key.parent_columns.clone_from(primary);
        }
        for written in &mut key.parent_columns {
            if let Some(stored) = columns.iter().find(|c| c.eq_ignore_ascii_case(written)) {
                written.clone_from(stored);
            }
        }
    }
}

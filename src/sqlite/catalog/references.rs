//! Foreign keys.

use crate::error::Result;
use crate::schema::{Action, Deferrable, ForeignKey, Table};
use crate::sqlite::catalog::{optional_text, query, text, unreadable};
use crate::sqlite::sql::parse::create::TableText;
use rusqlite::Connection;
use std::collections::HashMap;

/// The foreign keys of which the table is the child; what their parents are called is resolved
/// when all tables are known.
pub(crate) fn read(
    connection: &Connection,
    table: &str,
    declared: &TableText,
) -> Result<Vec<ForeignKey>> {
    // SQLite numbers them from the last declared to the first.
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
            keys.push((
                id,
                ForeignKey {
                    name: None,
                    columns: Vec::new(),
                    parent,
                    parent_columns: Vec::new(),
                    on_delete,
                    on_update,
                    deferrable: Deferrable::No,
                },
            ));
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
    match text {
        "RESTRICT" => Action::Restrict,
        "CASCADE" => Action::Cascade,
        "SET NULL" => Action::SetNull,
        "SET DEFAULT" => Action::SetDefault,
        _ => Action::NoAction,
    }
}

/// Gives foreign keys their parents' own spelling, and the parent's primary key where no columns
/// were written.
pub(crate) fn resolve(tables: &mut [Table]) {
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

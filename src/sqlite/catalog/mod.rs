//! The SQLite catalog, read into the neutral schema.
//!
//! SQLite's pragmas are the authority on names, columns, keys, collations and foreign keys. The text
//! of the CREATE statements adds only what the pragmas lack ([`crate::sqlite::sql::parse::create`]). Virtual
//! tables are neither read nor connected ([`modules`]).

pub(crate) mod columns;
pub(crate) mod constraints;
pub(crate) mod file_properties;
pub(crate) mod indexes;
pub(crate) mod model;
pub(crate) mod modules;
pub(crate) mod other_objects;
pub(crate) mod query;
pub(crate) mod sequences;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::schema::View;
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::catalog::other_objects::{left_out_table, left_out_trigger};
use crate::sqlite::sql::parse::create::ModuleText;
use rusqlite::Connection;

/// Reads the catalog of the connection's main database. Refused if SQLite cannot read the schema,
/// if a name or statement in it is not UTF-8, or if SQLite lists no columns for a table.
pub(crate) fn read(connection: &Connection) -> Result<Catalog> {
    let entries = query::entries(connection)?;
    let virtuals: Vec<(&str, ModuleText)> = entries
        .iter()
        .filter(|entry| entry.is_virtual())
        .map(|entry| (entry.name.as_str(), entry.module()))
        .collect();
    let file = FileProperties::read(connection)?;
    let mut catalog = Catalog { file, ..Catalog::default() };
    let Catalog { schema, facts, .. } = &mut catalog;
    for entry in &entries {
        match entry.kind.as_str() {
            "table" => match left_out_table(connection, entry, &entries, &virtuals)? {
                Some(left_out) => schema.left_out.push(left_out),
                None => {
                    let (table, table_facts) =
                        tables::read(connection, entry, &entries, &mut schema.left_out)?;
                    facts.insert(table.name.clone(), table_facts);
                    schema.tables.push(table);
                }
            },
            "view" => schema.views.push(View {
                name: entry.name.clone(),
                definition: entry.sql.clone().unwrap_or_default(),
            }),
            "trigger" => schema.left_out.push(left_out_trigger(entry)),
            _ => {}
        }
    }
    constraints::resolve_parents(&mut schema.tables);
    if entries.iter().any(|entry| entry.name == "sqlite_sequence") {
        sequences::read(connection, &mut schema.tables)?;
    }
    Ok(catalog)
}

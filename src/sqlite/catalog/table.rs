//! One ordinary table of the catalog.

use crate::error::{Error, Result};
use crate::schema::expression::{Collation, Sql};
use crate::schema::{
    Column, Generated, Key, KeyColumn, LeftOut, ObjectKind, RowAddress, Table, names,
};
use crate::sqlite::catalog::indexes;
use crate::sqlite::catalog::{
    Entry, TableFacts, optional_text, query, references, text, unreadable,
};
use crate::sqlite::sql::declared_type;
use crate::sqlite::sql::parse::create::{self, Names, TableText};
use rusqlite::Connection;

/// A column as `table_xinfo` gives it.
struct RawColumn {
    name: String,
    declared: String,
    not_null: bool,
    default: Option<String>,
    /// The place in the primary key, from 1; 0 outside.
    key: i64,
    /// 2: generated and virtual; 3: generated and stored.
    hidden: i64,
}

fn raw_columns(connection: &Connection, table: &str) -> Result<Vec<RawColumn>> {
    query(
        connection,
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden \
         FROM pragma_table_xinfo(?1, 'main') ORDER BY cid",
        Some(table),
        |row| {
            Ok(RawColumn {
                name: text(row, 0)?,
                declared: text(row, 1)?,
                not_null: row.get(2).map_err(unreadable)?,
                default: optional_text(row, 3)?,
                key: row.get(4).map_err(unreadable)?,
                hidden: row.get(5).map_err(unreadable)?,
            })
        },
    )
}

/// Reads one ordinary table.
pub(crate) fn read(
    connection: &Connection,
    entry: &Entry,
    entries: &[Entry],
    left_out: &mut Vec<LeftOut>,
) -> Result<(Table, TableFacts)> {
    let raw = raw_columns(connection, &entry.name)?;
    if raw.is_empty() {
        return Err(Error::refused(format!(
            "SQLite lists no columns for the table {}",
            names::quote(&entry.name)
        ))
        .hint("its entry in sqlite_schema is damaged: run \"PRAGMA integrity_check\" on a copy"));
    }
    let indexes = indexes::raw(connection, &entry.name)?;
    let key_index = indexes.iter().find(|index| index.origin == "pk");
    // A primary key without an index of its own is the rowid under another name.
    let alias = raw
        .iter()
        .find(|column| column.key > 0 && key_index.is_none())
        .map(|column| column.name.as_str());
    let without_rowid = key_index.is_some_and(|index| !index.has_rowid);
    let column_names: Vec<String> = raw.iter().map(|column| column.name.clone()).collect();
    let naming = Names { table: &entry.name, columns: &column_names, rowid_alias: alias };
    let definition = entry.sql.clone().unwrap_or_default();
    let text = create::table(&definition, &naming).unwrap_or_else(|| {
        list_unread(&entry.name, &definition, left_out);
        TableText::default()
    });
    let mut autoincrement = false;
    let columns = raw
        .iter()
        .map(|raw| {
            let (collation, automatic) = column_facts(connection, &entry.name, &raw.name)?;
            autoincrement |= automatic;
            Ok(column(raw, collation, alias, &text))
        })
        .collect::<Result<Vec<_>>>()?;
    let primary_key = indexes::primary_key(&columns, alias, key_index, &text);
    let address = address(&columns, alias, without_rowid, primary_key.as_ref());
    let table = Table {
        uniques: indexes::uniques(&indexes, &text),
        foreign_keys: references::read(connection, &entry.name, &text)?,
        indexes: indexes::created(&entry.name, entries, &indexes, &naming),
        checks: text.checks,
        name: entry.name.clone(),
        columns,
        primary_key,
        address,
        sequence: None,
    };
    let facts = TableFacts { without_rowid, strict: text.strict, autoincrement, definition };
    Ok((table, facts))
}

/// Lists what is lost when a CREATE TABLE statement cannot be read.
fn list_unread(table: &str, definition: &str, left_out: &mut Vec<LeftOut>) {
    let upper = definition.to_ascii_uppercase();
    for (word, kind) in [("CHECK", ObjectKind::Check), ("AS", ObjectKind::GeneratedColumn)] {
        if upper.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == word) {
            let reason = "the CREATE TABLE statement has a construct that is not known here";
            left_out.push(LeftOut::part(kind, table, "", Some(definition)).because(reason));
        }
    }
}

/// A column's collation, and whether its values are handed out by AUTOINCREMENT.
fn column_facts(connection: &Connection, table: &str, column: &str) -> Result<(Collation, bool)> {
    let (_, collation, _, _, automatic) =
        connection.column_metadata(Some("main"), table, column).map_err(unreadable)?;
    let name = collation.map(|name| name.to_string_lossy());
    Ok((name.map_or(Collation::Binary, |name| declared_type::collation_named(&name)), automatic))
}

fn column(raw: &RawColumn, collation: Collation, alias: Option<&str>, text: &TableText) -> Column {
    let identity = alias == Some(raw.name.as_str());
    let generated = matches!(raw.hidden, 2 | 3).then(|| {
        let known = text.generated.iter().find(|(name, _)| name.eq_ignore_ascii_case(&raw.name));
        Generated {
            expression: known
                .map_or_else(|| Sql { text: String::new(), tree: None }, |(_, sql)| sql.clone()),
            stored: raw.hidden == 3,
        }
    });
    Column {
        name: raw.name.clone(),
        declared: raw.declared.clone(),
        not_null: raw.not_null || identity,
        default: raw.default.as_deref().filter(|_| generated.is_none()).map(create::default),
        collation,
        generated,
        identity,
    }
}

fn address(
    columns: &[Column],
    alias: Option<&str>,
    without_rowid: bool,
    key: Option<&Key>,
) -> RowAddress {
    if without_rowid {
        // Rows are sought by comparing columns, which uses each column's own collation: the
        // key's must be the same, and one that exists without the application.
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
    match alias.or_else(|| ["rowid", "_rowid_", "oid"].into_iter().find(free)) {
        Some(column) => RowAddress::Integer { column: column.to_owned() },
        None => RowAddress::Ordinal,
    }
}

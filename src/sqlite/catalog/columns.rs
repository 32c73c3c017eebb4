//! Columns.

use crate::error::Result;
use crate::schema::expression::Collation;
use crate::schema::{Column, Generated};
use crate::sqlite::catalog::query::{optional_text, query, text, unreadable};
use crate::sqlite::sql::declared_type;
use crate::sqlite::sql::parse::create::{self, TableText};
use rusqlite::Connection;

/// A column, from the pragma `table_xinfo`.
pub(crate) struct RawColumn {
    pub(crate) name: String,
    declared: String,
    not_null: bool,
    default: Option<String>,
    /// The position in the primary key, from 1; 0 outside of it.
    pub(crate) key: i64,
    /// 2 is generated and virtual, 3 is generated and stored.
    hidden: i64,
}

pub(crate) fn read(connection: &Connection, table: &str) -> Result<Vec<RawColumn>> {
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

/// A column's collation, and whether it is AUTOINCREMENT.
pub(crate) fn collation_and_autoincrement(
    connection: &Connection,
    table: &str,
    column: &str,
) -> Result<(Collation, bool)> {
    let (_, collation, _, _, automatic) =
        connection.column_metadata(Some("main"), table, column).map_err(unreadable)?;
    let name = collation.map(|name| name.to_string_lossy());
    Ok((name.map_or(Collation::Binary, |name| declared_type::collation_named(&name)), automatic))
}

/// The column in the neutral schema; `alias` is the rowid's other name.
pub(crate) fn column(
    raw: &RawColumn,
    collation: Collation,
    alias: Option<&str>,
    text: &TableText,
) -> Column {
    let identity = alias == Some(raw.name.as_str());
    let generated = matches!(raw.hidden, 2 | 3).then(|| {
        let known = text.generated.iter().find(|(name, _)| name.eq_ignore_ascii_case(&raw.name));
        let expression = known.map(|(_, sql)| sql.clone()).unwrap_or_default();
        Generated { expression, stored: raw.hidden == 3 }
    });
    let conflict = text.not_null.iter().find(|(name, _)| name.eq_ignore_ascii_case(&raw.name));
    Column {
        name: raw.name.clone(),
        declared: raw.declared.clone(),
        not_null: raw.not_null || identity,
        default: raw.default.as_deref().filter(|_| generated.is_none()).map(create::default),
        collation,
        generated,
        identity,
        conflict: conflict.map(|(_, clause)| *clause),
    }
}

//! The queries of the catalog readers, and the entries of `sqlite_schema`.

use crate::error::{Error, Result};
use crate::sqlite::errors::classify;
use crate::sqlite::sql::parse::create::{self, ModuleText};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// One row of `sqlite_schema`.
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) table: String,
    root: i64,
    pub(crate) sql: Option<String>,
}

impl Entry {
    /// Whether this is a virtual table: a table without pages.
    pub(crate) fn is_virtual(&self) -> bool {
        self.kind == "table" && self.root == 0
    }

    /// The module of a virtual table.
    pub(crate) fn module(&self) -> ModuleText {
        self.sql.as_deref().and_then(create::module).unwrap_or_default()
    }
}

/// Reads all entries.
pub(crate) fn entries(connection: &Connection) -> Result<Vec<Entry>> {
    query(
        connection,
        "SELECT type, name, tbl_name, coalesce(rootpage, 0), sql FROM main.sqlite_schema \
         ORDER BY rowid",
        None,
        |row| {
            Ok(Entry {
                kind: text(row, 0)?,
                name: text(row, 1)?,
                table: text(row, 2)?,
                root: row.get(3).map_err(unreadable)?,
                sql: optional_text(row, 4)?,
            })
        },
    )
}

/// Runs a query with at most one parameter, a name, and reads each row.
pub(crate) fn query<T>(
    connection: &Connection,
    sql: &str,
    name: Option<&str>,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(unreadable)?;
    let mut rows = statement.query(rusqlite::params_from_iter(name)).map_err(unreadable)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(unreadable)? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// The error of a catalog that SQLite cannot read.
pub(crate) fn unreadable(error: rusqlite::Error) -> Error {
    classify(Error::refused("cannot read the catalog of the SQLite database"), error)
        .hint("run \"PRAGMA integrity_check\" on a copy of the file")
}

/// A column as text; empty where it is NULL or not text.
pub(crate) fn text(row: &Row<'_>, column: usize) -> Result<String> {
    Ok(optional_text(row, column)?.unwrap_or_default())
}

/// A column as text; `None` if it is NULL or not text.
pub(crate) fn optional_text(row: &Row<'_>, column: usize) -> Result<Option<String>> {
    let ValueRef::Text(bytes) = row.get_ref(column).map_err(unreadable)? else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| {
        let near = String::from_utf8_lossy(bytes).chars().take(60).collect::<String>();
        Error::refused(format!(
            "the catalog of the SQLite database has text that is not valid UTF-8: {near:?}"
        ))
        .hint("rename the table, column or index in SQLite (ALTER TABLE ... RENAME)")
    })?;
    Ok(Some(text.to_owned()))
}

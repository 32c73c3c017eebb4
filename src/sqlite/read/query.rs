//! The queries that read a table.

use crate::error::{Error, Result};
use crate::schema::RowAddress;
use crate::schema::names::quote;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// What is read of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableQuery {
    /// The table's name.
    pub(crate) table: String,
    /// The columns, in the order in which their values are wanted.
    pub(crate) columns: Vec<String>,
    /// How ranges are addressed.
    pub(crate) address: RowAddress,
    /// How the database keeps text.
    pub(crate) encoding: TextEncoding,
}

/// How a SQLite database keeps text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// How the database of `connection` keeps text.
pub(crate) fn encoding(connection: &Connection) -> Result<TextEncoding> {
    let name: String = connection
        .query_row("PRAGMA encoding", [], |row| row.get(0))
        .map_err(|error| Error::refused("cannot read the source").caused_by(error))?;
    Ok(match name.as_str() {
        "UTF-16le" => TextEncoding::Utf16Le,
        "UTF-16be" => TextEncoding::Utf16Be,
        _ => TextEncoding::Utf8,
    })
}

/// Which bounds a range of composite keys has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Bounds {
    /// Only keys after one.
    pub(crate) after: bool,
    /// Only keys up to one, and that one.
    pub(crate) through: bool,
}

/// The SQL function that the collector installs on its connection.
pub(crate) const COLLECT_FUNCTION: &str = "migrate_collect";

/// The most columns of a result (`SQLITE_MAX_COLUMN` of the bundled library).
const MAX_RESULT_COLUMNS: usize = 2000;

/// The most arguments of a function (`SQLITE_MAX_FUNCTION_ARG` of the bundled library).
const MAX_FUNCTION_ARGUMENTS: usize = 1000;

impl TableQuery {
    /// Checks what the queries could not do.
    ///
    /// # Errors
    /// A UTF-16 table with so many columns that their encodings cannot be asked for.
    pub(crate) fn check(&self) -> Result<()> {
        if self.utf16() && self.columns.len() * 2 >= MAX_RESULT_COLUMNS {
            return Err(Error::refused(format!(
                "table {} has too many columns to be read from a UTF-16 database",
                quote(&self.table)
            ))
            .hint("leave it out with --exclude"));
        }
        Ok(())
    }

    /// Text comes as bytes, and behind the columns stands which of them are text.
    pub(crate) fn utf16(&self) -> bool {
        self.encoding != TextEncoding::Utf8
    }

    /// The expressions of the columns. In a UTF-16 database text is fetched as its stored bytes:
    /// asked for UTF-8, SQLite turns an unpaired surrogate into another, valid character.
    fn expressions(&self) -> Vec<String> {
        let mut list = Vec::with_capacity(self.columns.len() * 2);
        for column in &self.columns {
            let column = quote(column);
            if self.utf16() {
                list.push(format!(
                    "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"
                ));
            } else {
                list.push(column);
            }
        }
        if self.utf16() {
            list.extend(
                self.columns.iter().map(|column| format!("typeof({})='text'", quote(column))),
            );
        }
        list
    }

    /// Places in the result that belong to one row's values.
    pub(crate) fn width(&self) -> usize {
        if self.utf16() { self.columns.len() * 2 } else { self.columns.len() }
    }

    /// The key's columns, quoted. A bare `rowid` may be quoted too: SQLite finds it all the same.
    pub(crate) fn key(&self) -> Vec<String> {
        match &self.address {
            RowAddress::Integer { column } => vec![quote(column)],
            RowAddress::Key { columns } => columns.iter().map(|column| quote(column)).collect(),
            RowAddress::Ordinal => Vec::new(),
        }
    }

    /// The scan of a range in storage order, with the key's values behind the columns.
    ///
    /// `NOT INDEXED` keeps SQLite from reading a covering index instead of the table, whose
    /// order would be another one.
    pub(crate) fn scan(&self, bounds: Bounds) -> String {
        let key = self.key();
        let mut list = self.expressions();
        list.extend_from_slice(&key);
        if list.is_empty() {
            list.push("0".to_owned());
        }
        let list = list.join(",");
        let table = quote(&self.table);
        let columns = key.join(",");
        match (&self.address, bounds) {
            (RowAddress::Ordinal, _) => {
                format!("SELECT {list} FROM {table} NOT INDEXED")
            }
            (RowAddress::Integer { .. }, _) => format!(
                "SELECT {list} FROM {table} NOT INDEXED WHERE {columns} BETWEEN ?1 AND ?2 ORDER BY {columns}"
            ),
            (RowAddress::Key { .. }, Bounds { after, through }) => {
                let places = |first: usize| {
                    (first..first + key.len())
                        .map(|i| format!("?{i}"))
                        .collect::<Vec<_>>()
                        .join(",")
                };
                let mut conditions = Vec::new();
                if after {
                    conditions.push(format!("({columns}) > ({})", places(1)));
                }
                if through {
                    let first = if after { 1 + key.len() } else { 1 };
                    conditions.push(format!("({columns}) <= ({})", places(first)));
                }
                let filter = if conditions.is_empty() {
                    String::new()
                } else {
                    format!(" WHERE {}", conditions.join(" AND "))
                };
                format!("SELECT {list} FROM {table}{filter} ORDER BY {columns}")
            }
        }
    }

    /// The query that hands the rows of a range of integer keys to the collector: their key, then
    /// the columns. `None` where there is no such key, or where it would be given more values than
    /// a function takes.
    pub(crate) fn collect(&self) -> Option<String> {
        let RowAddress::Integer { column } = &self.address else { return None };
        if self.width() >= MAX_FUNCTION_ARGUMENTS {
            return None;
        }
        let key = quote(column);
        let list: Vec<String> = std::iter::once(key.clone()).chain(self.expressions()).collect();
        Some(format!(
            "SELECT {COLLECT_FUNCTION}({}) FROM {} NOT INDEXED WHERE {key} BETWEEN ?1 AND ?2",
            list.join(","),
            quote(&self.table)
        ))
    }
}

//! The queries that read a table.

use crate::error::{Error, Result};
use crate::schema::RowAddress;
use crate::schema::names::quote;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// The columns of one table that are read, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableQuery {
    pub(crate) table: String,
    /// The columns, in the order of the values.
    pub(crate) columns: Vec<String>,
    /// How rows are addressed.
    pub(crate) address: RowAddress,
    /// The text encoding of the database.
    pub(crate) encoding: TextEncoding,
}

/// The text encoding of a SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// The text encoding of the database of `connection`.
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

/// The bounds of a range of composite keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Bounds {
    /// The range has a lower bound (exclusive).
    pub(crate) after: bool,
    /// The range has an upper bound (inclusive).
    pub(crate) through: bool,
}

/// The SQL function that the collector installs on its connection.
pub(crate) const COLLECT_FUNCTION: &str = "migrate_collect";

/// The most columns of a result (`SQLITE_MAX_COLUMN` of the bundled library).
const MAX_RESULT_COLUMNS: usize = 2000;

/// The most arguments of a function (`SQLITE_MAX_FUNCTION_ARG` of the bundled library).
const MAX_FUNCTION_ARGUMENTS: usize = 1000;

/// The expressions that fetch `values`. In a UTF-16 database text is fetched as its stored bytes, with
/// a flag for each value that is text: converting to UTF-8, SQLite would replace an unpaired surrogate
/// by a valid character.
pub(crate) fn expressions(encoding: TextEncoding, values: Vec<String>) -> Vec<String> {
    if encoding == TextEncoding::Utf8 {
        return values;
    }
    let bytes = values.iter().map(|value| {
        format!("CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END")
    });
    let flags = values.iter().map(|value| format!("typeof({value})='text'"));
    bytes.chain(flags).collect()
}

impl TableQuery {
    /// Refuses a UTF-16 table with too many columns: each needs two columns of the result.
    pub(crate) fn check(&self) -> Result<()> {
        if self.utf16() && self.columns.len() * 2 >= MAX_RESULT_COLUMNS {
            return Err(Error::refused(format!(
                "table {} has too many columns for a UTF-16 database",
                quote(&self.table)
            ))
            .remedy_exclude(&[&self.table]));
        }
        Ok(())
    }

    /// Whether text is fetched as bytes, with a flag for each column that is text.
    pub(crate) fn utf16(&self) -> bool {
        self.encoding != TextEncoding::Utf8
    }

    fn expressions(&self) -> Vec<String> {
        expressions(self.encoding, self.columns.iter().map(|column| quote(column)).collect())
    }

    /// The number of result columns before the key.
    pub(crate) fn width(&self) -> usize {
        if self.utf16() { self.columns.len() * 2 } else { self.columns.len() }
    }

    /// The columns of the key, quoted. SQLite also finds a quoted `rowid`.
    pub(crate) fn key(&self) -> Vec<String> {
        match &self.address {
            RowAddress::Integer { column } => vec![quote(column)],
            RowAddress::Key { columns } => columns.iter().map(|column| quote(column)).collect(),
            RowAddress::Ordinal => Vec::new(),
        }
    }

    /// The scan of a range in storage order, with the key's values after the columns.
    ///
    /// `NOT INDEXED` keeps SQLite from reading a covering index, which has another order.
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
            (RowAddress::Ordinal, _) => format!("SELECT {list} FROM {table} NOT INDEXED"),
            (RowAddress::Integer { .. }, _) => format!(
                "SELECT {list} FROM {table} NOT INDEXED WHERE {columns} BETWEEN ?1 AND ?2 ORDER BY {columns}"
            ),
            (RowAddress::Key { .. }, Bounds { after, through }) => {
                let values = vec!["?"; key.len()].join(",");
                let filter = match (after, through) {
                    (false, false) => String::new(),
                    (true, false) => format!(" WHERE ({columns}) > ({values})"),
                    (false, true) => format!(" WHERE ({columns}) <= ({values})"),
                    (true, true) => {
                        format!(" WHERE ({columns}) > ({values}) AND ({columns}) <= ({values})")
                    }
                };
                format!("SELECT {list} FROM {table}{filter} ORDER BY {columns}")
            }
        }
    }

    /// The query that passes the rows of a range of integer keys to the collector: the key, then
    /// the columns. `None` without such a key, or with more values than a function takes.
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

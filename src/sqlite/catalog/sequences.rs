//! The state of AUTOINCREMENT keys.

use crate::error::Result;
use crate::schema::Table;
use crate::sqlite::catalog::query::{optional_text, query, unreadable};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Reads the last key that AUTOINCREMENT has generated for each table. Anyone can write to
/// `sqlite_sequence`; like SQLite, this skips values that are not integers.
pub(crate) fn read(connection: &Connection, tables: &mut [Table]) -> Result<()> {
    let sequences = query(connection, "SELECT name, seq FROM main.sqlite_sequence", None, |row| {
        Ok((optional_text(row, 0)?, row.get::<_, Value>(1).map_err(unreadable)?))
    })?;
    for (name, value) in sequences {
        if let (Some(name), Value::Integer(value)) = (name, value)
            && let Some(table) = tables.iter_mut().find(|table| table.name == name)
        {
            table.sequence = table.sequence.max(Some(value));
        }
    }
    Ok(())
}

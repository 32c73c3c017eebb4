//! The queries of the catalog readers.

use crate::error::Result;
use crate::postgres::errors::db_error;
use crate::schema::{LeftOut, ObjectKind};
use postgres::{Client, Row};
use serde_json::Value;
use std::collections::HashMap;

/// The indexes of the tables in the neutral schema, by object id.
pub(crate) type TableIndex = HashMap<i64, usize>;

/// Runs a query whose one parameter is the schema's name.
pub(crate) fn query(client: &mut Client, sql: &str, schema: &str) -> Result<Vec<Row>> {
    client
        .query(sql, &[&schema])
        .map_err(db_error("cannot read the catalog of the PostgreSQL database"))
}

/// Runs a query whose first column is the object id of a table. Returns the rows of known tables,
/// each with the table's index.
pub(crate) fn table_rows(
    client: &mut Client,
    sql: &str,
    schema: &str,
    tables: &TableIndex,
) -> Result<impl Iterator<Item = (usize, Row)>> {
    let rows = query(client, sql, schema)?;
    Ok(rows.into_iter().filter_map(|row| Some((*tables.get(&row.get::<_, i64>(0))?, row))))
}

/// The facts of the SQLite object in a comment of ours; null in any other comment.
pub(crate) fn origin(comment: Option<String>) -> Value {
    comment
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .and_then(|mut value| value.get_mut("sqlite").map(Value::take))
        .unwrap_or_default()
}

/// An object that cannot be carried over to SQLite.
pub(crate) fn left_out(kind: ObjectKind, table: Option<&str>, name: &str, reason: &str) -> LeftOut {
    LeftOut {
        kind,
        table: table.map(str::to_owned),
        name: name.to_owned(),
        reason: reason.to_owned(),
        definition: None,
        rows: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_comments_name_an_origin() {
        let name = |comment: &str| origin(Some(comment.to_owned()))["name"].clone();
        assert_eq!(name(r#"{"sqlite":{"name":"t\u0000"}}"#), "t\0");
        assert_eq!(name(r#"{"sqlite":{"type":"INT"}}"#), Value::Null);
        assert_eq!(name("users of the service"), Value::Null);
        assert_eq!(name("[1]"), Value::Null);
    }
}

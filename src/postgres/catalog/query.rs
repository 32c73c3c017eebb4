//! The queries of the catalog readers.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use postgres::{Client, Row};
use serde_json::Value;
use std::collections::HashMap;

/// A catalog that is being read.
pub(crate) struct CatalogReader<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) schema: &'a str,
    /// The indexes of the tables in the catalog, by object id.
    pub(crate) tables: HashMap<i64, usize>,
    pub(crate) catalog: Catalog,
}

impl CatalogReader<'_> {
    /// Runs a query whose one parameter is the schema's name.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        let what = "cannot read the catalog of the PostgreSQL database";
        self.client.query(sql, &[&self.schema]).map_err(db_error(what))
    }

    /// Runs a query whose first column is the object id of a table. Returns the rows of known
    /// tables, each with the table's index.
    pub(crate) fn table_rows(&mut self, sql: &str) -> Result<Vec<(usize, Row)>> {
        let rows = self.query(sql)?.into_iter();
        Ok(rows.filter_map(|row| Some((*self.tables.get(&row.get::<_, i64>(0))?, row))).collect())
    }
}

/// The facts of the SQLite object in a comment of ours; null in any other comment.
pub(crate) fn origin(comment: Option<String>) -> Value {
    comment
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .and_then(|mut value| value.get_mut("sqlite").map(Value::take))
        .unwrap_or_default()
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

//! The queries of the catalog readers.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use postgres::{Client, Row};
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

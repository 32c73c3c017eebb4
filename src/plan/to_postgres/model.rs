//! The parts of a plan that only a PostgreSQL target has.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::encoding::Encoding;
use crate::error::plural;
use crate::plan::model::{OptionalDdl, Plan, PlannedTable, Target};
use crate::plan::to_postgres::type_rules::first_rows;
use crate::postgres::attached::AttachedByTable;
use crate::postgres::catalog::target_objects::CatalogObject;
use crate::postgres::sql::ddl::{ForeignKeyDdl, TableDdl};
use crate::schema::chunk::Chunk;
use crate::schema::column_type::ColumnType;
use crate::schema::ddl::quote_list;
use crate::schema::{LeftOut, RowAddress};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::query::TableQuery;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A PostgreSQL target.
pub(crate) enum ToPostgres {}

impl Target for ToPostgres {
    type TableDdl = TableDdl;
    type Read = ChunkedRead;
    type Finish = PostgresFinish;
    type Mapping = ColumnEncoder;
    type Objects = PostgresObjects;

    fn table_name(ddl: &TableDdl) -> &str {
        &ddl.name
    }

    fn column_type(mapping: &ColumnEncoder) -> String {
        mapping.encoding.column_type.to_string()
    }

    fn type_override(mapping: &ColumnEncoder) -> Option<Encoding> {
        Some(mapping.encoding)
    }
}

/// What a plan has in addition to its tables.
#[derive(Serialize, Deserialize)]
pub(crate) struct PostgresObjects {
    /// The foreign keys, in the source's order.
    pub(crate) foreign_keys: Vec<PlannedForeignKey>,
    /// The views, each after those that it reads.
    pub(crate) views: Vec<OptionalDdl>,
    /// Objects of the target schema that are dropped before the tables are created.
    #[serde(skip)]
    pub(crate) dropped: Vec<CatalogObject>,
    /// All objects of the schema are dropped, and the ledger with them.
    #[serde(skip)]
    pub(crate) drop_all: bool,
    /// What is attached to the dropped tables and views, and to those of an interrupted run.
    #[serde(skip)]
    pub(crate) attached: AttachedByTable,
}

/// How the rows of a table are read: in chunks, in any order.
#[derive(Serialize, Deserialize)]
pub(crate) struct ChunkedRead {
    /// The query. Its columns are those that are sent, in the order of the layout.
    pub(crate) query: TableQuery,
    pub(crate) layout: TupleLayout,
    /// The indexes into the table's columns of those that are sent.
    pub(crate) sent: Vec<usize>,
    /// The chunks. The ledger stores them in the table's own row, not with the plan.
    #[serde(skip)]
    pub(crate) chunks: Vec<Chunk>,
}

/// What a table gets once its rows are copied.
#[derive(Serialize, Deserialize)]
pub(crate) struct PostgresFinish {
    /// Keys: unique indexes, most of which become constraints.
    pub(crate) keys: Vec<PlannedKey>,
    /// CHECK constraints.
    pub(crate) checks: Vec<OptionalDdl>,
    /// The qualified sequence of the identity column, and the highest value handed out.
    pub(crate) sequence: Option<(String, i64)>,
}

/// A primary key or unique constraint, built as an index first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedKey {
    /// Its description: `primary key of "t"`.
    pub(crate) what: String,
    /// The name of the index and of the constraint.
    pub(crate) name: String,
    /// Its columns, by their names in the source.
    pub(crate) columns: Vec<String>,
    /// CREATE INDEX, UNIQUE unless rows of the source have equal keys.
    pub(crate) index: String,
    /// ALTER TABLE ADD CONSTRAINT USING INDEX, where the index can become a constraint.
    pub(crate) constraint: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedForeignKey {
    /// The index of the child table in the plan.
    pub(crate) child: usize,
    /// The index of the parent table.
    pub(crate) parent: usize,
    /// The child's columns, by their names in the source.
    pub(crate) columns: Vec<String>,
    /// The parent's columns that they refer to.
    pub(crate) parent_columns: Vec<String>,
    pub(crate) ddl: ForeignKeyDdl,
    /// Its entry in the list of what is not migrated, without the reason.
    pub(crate) left_out: LeftOut,
}

impl PlannedForeignKey {
    /// Its entry in the list of what is not migrated, where rows have no parent.
    pub(crate) fn listed(&self, orphans: &Tally) -> LeftOut {
        let rows = plural(orphans.count, "row has", "rows have");
        let first = match orphans.first_rows.is_empty() {
            true => String::new(),
            false => format!(" (first at rowid {})", first_rows(orphans)),
        };
        LeftOut {
            reason: format!(
                "{rows} no parent for {}{first}; it holds for new rows only (NOT VALID)",
                quote_list(&self.columns)
            ),
            ..self.left_out.clone()
        }
    }
}

impl Plan<ToPostgres> {
    /// The names of the tables and views in the target.
    pub(crate) fn created_names(&self) -> impl Iterator<Item = &str> {
        let tables = self.tables.iter().map(|table| table.ddl.name.as_str());
        tables.chain(self.objects.views.iter().map(|view| view.name.as_str()))
    }

    /// The names of the indexes in the target, those of keys included.
    pub(crate) fn index_names(&self) -> HashSet<String> {
        let keys = self.tables.iter().flat_map(|table| &table.finish.keys);
        let indexes = self.tables.iter().flat_map(|table| &table.indexes);
        keys.map(|key| key.name.clone()).chain(indexes.map(|index| index.name.clone())).collect()
    }

    /// The names of the tables in the target.
    pub(crate) fn table_names(&self) -> HashSet<String> {
        self.tables.iter().map(|table| table.ddl.name.clone()).collect()
    }
}

impl PlannedTable<ToPostgres> {
    /// The column of the target that holds the integer by which the source addresses its rows.
    pub(crate) fn integer_key(&self) -> Option<&str> {
        let RowAddress::Integer { column } = &self.read.query.address else { return None };
        let index = self.columns.iter().position(|planned| planned.name == *column)?;
        let planned = &self.columns[index];
        let is_bigint = planned.mapping.encoding.column_type == ColumnType::BigInt;
        is_bigint.then_some(planned.target_name.as_str())
    }
}

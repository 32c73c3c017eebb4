//! The plan: everything that is decided before the first write. Printing it is the dry run.

pub(crate) mod created_objects;
pub(crate) mod table_selection;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::options::type_override::TypeOverride;
use crate::plan::to_postgres::column_types::pin_of;
use crate::plan::to_postgres::type_rules::TypeDecision;
use crate::postgres::catalog::target_objects::{CatalogObject, ObjectClass};
use crate::postgres::sql::ddl::{ForeignKeyDdl, TableDdl};
use crate::report::{ColumnPlan, ConversionReport, DataSetPlan, Dropped, RowsLeftOut, TablePlan};
use crate::schema::chunk::Chunk;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::{LeftOut, RowAddress};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::query::TableQuery;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// The plan of one data set. The ledger keeps it, so that a run that was cut off can be continued.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The data set's name.
    pub(crate) data_set: String,
    /// The schema of the target.
    pub(crate) schema: String,
    /// The tables, in the source's order.
    pub(crate) tables: Vec<PlannedTable>,
    /// The foreign keys, in the source's order.
    pub(crate) foreign_keys: Vec<PlannedForeignKey>,
    /// The views, each after those that it reads.
    pub(crate) views: Vec<OptionalDdl>,
    /// What is not carried over.
    pub(crate) left_out: Vec<LeftOut>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// What is in the target schema and is dropped first.
    #[serde(skip)]
    pub(crate) drops: Vec<CatalogObject>,
    /// That is everything, so that the ledger goes, too.
    #[serde(skip)]
    pub(crate) drop_all: bool,
}

/// One table of a plan.
#[derive(Serialize, Deserialize)]
pub(crate) struct PlannedTable {
    /// Its name in the source.
    pub(crate) name: String,
    /// Its definition in the target.
    pub(crate) ddl: TableDdl,
    /// How it is read: the columns that are sent, in the order of the layout.
    pub(crate) query: TableQuery,
    /// What its tuples are made of.
    pub(crate) layout: TupleLayout,
    /// The places in `ddl` of the columns that are sent.
    pub(crate) sent: Vec<usize>,
    /// Its chunks. They stand in the row of the table in the ledger, not with the plan.
    #[serde(skip)]
    pub(crate) chunks: Vec<Chunk>,
    /// Its rows in the source.
    pub(crate) rows: u64,
    /// Their size as tuples before any cast.
    pub(crate) bytes: u64,
    /// What each column becomes, all columns in the source's order.
    pub(crate) columns: Vec<PlannedColumn>,
    /// Keys: unique indexes, most of which become constraints.
    pub(crate) keys: Vec<PlannedKey>,
    /// Other indexes.
    pub(crate) indexes: Vec<OptionalDdl>,
    /// CHECK constraints.
    pub(crate) checks: Vec<OptionalDdl>,
    /// The sequence of the identity column, qualified, and the highest value handed out.
    pub(crate) sequence: Option<(String, i64)>,
    /// Rows that stand in the reject file instead, by reason.
    pub(crate) rejected: Vec<(String, Tally)>,
}

impl PlannedTable {
    /// The qualified name in the target.
    pub(crate) fn qualified(&self) -> String {
        self.ddl.qualified()
    }

    /// The column of the target that holds the integer by which the source addresses its rows.
    pub(crate) fn integer_key(&self) -> Option<&str> {
        let RowAddress::Integer { column } = &self.query.address else { return None };
        let place = self.columns.iter().position(|planned| planned.name == *column)?;
        let is_bigint = self.ddl.columns[place].column_type == ColumnType::BigInt;
        is_bigint.then(|| self.ddl.columns[place].name.as_str())
    }

    /// Rows that are left out.
    pub(crate) fn rows_rejected(&self) -> u64 {
        self.rejected.iter().map(|(_, tally)| tally.count).sum()
    }
}

/// What one column becomes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedColumn {
    /// Its name in the source.
    pub(crate) name: String,
    /// Its name in the target.
    pub(crate) target_name: String,
    /// Its declared type as written.
    pub(crate) declared: String,
    /// What was decided, and why.
    pub(crate) decision: TypeDecision,
}

/// A primary key or unique constraint, built as an index first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedKey {
    /// What it is, for people: `primary key of "t"`.
    pub(crate) what: String,
    /// The name of the index and of the constraint.
    pub(crate) name: String,
    /// The key's columns, by their names in the source.
    pub(crate) columns: Vec<String>,
    /// CREATE UNIQUE INDEX.
    pub(crate) index: String,
    /// Makes the index a constraint, where it can be one.
    pub(crate) constraint: Option<String>,
}

/// A definition that is listed rather than fatal where the server refuses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OptionalDdl {
    /// Its name in the target.
    pub(crate) name: String,
    /// What it is, for people: `index "i" on "t"`.
    pub(crate) what: String,
    /// The statement.
    pub(crate) sql: String,
    /// How it is listed where it cannot be.
    pub(crate) left_out: LeftOut,
}

/// A foreign key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlannedForeignKey {
    /// The child's place in the plan.
    pub(crate) child: usize,
    /// The parent's.
    pub(crate) parent: usize,
    /// The child's columns, by their names in the source.
    pub(crate) columns: Vec<String>,
    /// The parent's columns they refer to.
    pub(crate) parent_columns: Vec<String>,
    /// Its definition.
    pub(crate) ddl: ForeignKeyDdl,
    /// How it is listed where it cannot be.
    pub(crate) left_out: LeftOut,
}

impl PlannedForeignKey {
    /// How it is listed where rows have no parent.
    pub(crate) fn listed(&self, orphans: &Tally) -> LeftOut {
        let rows = if orphans.count == 1 {
            "1 row has".to_owned()
        } else {
            format!("{} rows have", orphans.count)
        };
        let columns: Vec<String> = self.columns.iter().map(|name| quote(name)).collect();
        let places: Vec<String> = orphans.first_rows.iter().map(i64::to_string).collect();
        let places = if places.is_empty() {
            String::new()
        } else {
            format!(" (first at rowid {})", places.join(", "))
        };
        LeftOut {
            reason: format!(
                "{rows} no parent for {}{places}; it holds for new rows only (NOT VALID)",
                columns.join(", ")
            ),
            ..self.left_out.clone()
        }
    }
}

impl Plan {
    /// The names of the tables that the plan makes.
    pub(crate) fn table_names(&self) -> HashSet<String> {
        self.tables.iter().map(|table| table.ddl.name.clone()).collect()
    }

    /// The names of the tables with rows that are left out.
    pub(crate) fn rejecting(&self) -> impl Iterator<Item = &str> {
        let rejecting = self.tables.iter().filter(|table| !table.rejected.is_empty());
        rejecting.map(|table| table.name.as_str())
    }

    /// Rows of all tables.
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// What there is to say about columns that are not what they are declared.
    pub(crate) fn widened(&self) -> impl Iterator<Item = String> {
        self.tables.iter().flat_map(|table| {
            table.columns.iter().filter_map(|column| {
                let decision = &column.decision;
                Some(format!(
                    "{}.{}, declared {}, becomes {}: {}",
                    quote(&table.name),
                    quote(&column.name),
                    if column.declared.is_empty() { "without a type" } else { &column.declared },
                    decision.cast.form.column_type(),
                    decision.reason.as_ref()?
                ))
            })
        })
    }

    /// The plan as it is shown.
    pub(crate) fn summary(&self) -> DataSetPlan {
        let tables = self.table_names();
        let views: HashSet<&str> = self.views.iter().map(|view| view.name.as_str()).collect();
        let comes_back = |thing: &CatalogObject| match thing.kind {
            ObjectClass::View => views.contains(thing.name.as_str()),
            _ => tables.contains(&thing.name),
        };
        DataSetPlan {
            name: self.data_set.clone(),
            target_schema: self.schema.clone(),
            continues: None,
            tables: self.tables.iter().map(PlannedTable::summary).collect(),
            left_out: self.left_out.clone(),
            drops: self
                .drops
                .iter()
                .filter(|thing| !thing.is_dependent)
                .map(|thing| Dropped {
                    kind: thing.kind.as_str().to_owned(),
                    name: thing.name.clone(),
                    comes_back: comes_back(thing),
                })
                .collect(),
            notes: self.notes.clone(),
            casts: self.casts(),
        }
    }

    /// The type of every column, as pins for another run.
    fn casts(&self) -> Vec<TypeOverride> {
        let of_table = |table: &PlannedTable| {
            let pin = |column: &PlannedColumn| TypeOverride {
                table: table.name.clone(),
                column: column.name.clone(),
                to: pin_of(column.decision.cast.form),
            };
            table.columns.iter().map(pin).collect::<Vec<_>>()
        };
        self.tables.iter().flat_map(of_table).collect()
    }
}

impl PlannedTable {
    /// The declared conversions of the table.
    pub(crate) fn conversions(&self) -> Vec<ConversionReport> {
        let of_column = |column: &PlannedColumn| {
            let to = column.decision.cast.form.column_type().to_string();
            let name = column.name.clone();
            let report = move |(what, count): &(Cow<'static, str>, u64)| ConversionReport {
                column: name.clone(),
                to: to.clone(),
                what: what.clone().into_owned(),
                count: *count,
            };
            column.decision.conversions.iter().map(report).collect::<Vec<_>>()
        };
        self.columns.iter().flat_map(of_column).collect()
    }

    /// The rows that are left out, by reason.
    pub(crate) fn rows_left_out(&self) -> Vec<RowsLeftOut> {
        let told = |(reason, tally): &(String, Tally)| RowsLeftOut {
            count: tally.count,
            reason: reason.clone(),
        };
        self.rejected.iter().map(told).collect()
    }

    /// The name in the target, where it is another one.
    pub(crate) fn renamed(&self) -> Option<String> {
        (self.ddl.name != self.name).then(|| self.ddl.name.clone())
    }

    fn summary(&self) -> TablePlan {
        let columns = self.columns.iter().filter_map(|column| {
            let decision = &column.decision;
            Some(ColumnPlan {
                column: column.name.clone(),
                declared: column.declared.clone(),
                to: decision.cast.form.column_type().to_string(),
                reason: decision.reason.clone()?,
                needs_review: decision.needs_review,
            })
        });
        TablePlan {
            name: self.name.clone(),
            target_name: self.renamed(),
            rows: self.rows,
            bytes: self.bytes,
            columns: columns.collect(),
            conversions: self.conversions(),
            rows_left_out: self.rows_left_out(),
        }
    }
}

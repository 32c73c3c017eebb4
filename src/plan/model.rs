//! The plan of one data set, for both directions. What only one kind of target has is in
//! `to_postgres::model` and `to_sqlite::model`.

use crate::options::type_override::TypeOverride;
use crate::postgres::sql::ddl;
use crate::report::{
    ColumnPlan, ConversionReport, DataSetPlan, DataSetReport, RowsLeftOut, TablePlan, TableReport,
};
use crate::schema::LeftOut;
use crate::schema::dropped::Dropped;
use crate::schema::names::quote;
use crate::sqlite::read::profile::column::Tally;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A kind of target, with the parts of a plan that only it has.
pub(crate) trait Target {
    type TableDdl;
    /// How the rows of a table are read from the source.
    type Read;
    /// What a table gets once its rows are copied, except indexes.
    type Finish;
    /// How the values of a column are converted.
    type Mapping;
    /// What a plan has in addition to its tables.
    type Objects;

    fn table_name(ddl: &Self::TableDdl) -> &str;

    /// The type of a column, as the target spells it.
    fn column_type(mapping: &Self::Mapping) -> String;

    /// The `--cast` that would choose this mapping.
    fn type_override(mapping: &Self::Mapping) -> Option<crate::codec::encoding::Encoding>;
}

/// The plan of one data set. The ledger stores it (to PostgreSQL), so that an interrupted run can
/// be resumed.
#[derive(Serialize, Deserialize)]
#[serde(bound(
    serialize = "PlannedTable<T>: Serialize, T::Objects: Serialize",
    deserialize = "PlannedTable<T>: Deserialize<'de>, T::Objects: Deserialize<'de>"
))]
pub(crate) struct Plan<T: Target> {
    pub(crate) data_set: String,
    /// The schema of the target, or its file.
    pub(crate) target_schema: String,
    /// The tables, in the source's order.
    pub(crate) tables: Vec<PlannedTable<T>>,
    /// What is not migrated, with the reasons.
    pub(crate) left_out: Vec<LeftOut>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// What the target holds and the run drops.
    #[serde(skip)]
    pub(crate) drops: Vec<Dropped>,
    pub(crate) objects: T::Objects,
}

/// One table of a plan.
#[derive(Serialize, Deserialize)]
#[serde(bound(
    serialize = "T::TableDdl: Serialize, T::Mapping: Serialize, T::Read: Serialize, \
                 T::Finish: Serialize",
    deserialize = "T::TableDdl: Deserialize<'de>, T::Mapping: Deserialize<'de>, \
                   T::Read: Deserialize<'de>, T::Finish: Deserialize<'de>"
))]
pub(crate) struct PlannedTable<T: Target> {
    /// Its name in the source.
    pub(crate) name: String,
    pub(crate) ddl: T::TableDdl,
    /// All its columns, in the source's order.
    pub(crate) columns: Vec<PlannedColumn<T>>,
    pub(crate) read: T::Read,
    /// Its rows in the source.
    pub(crate) rows: u64,
    /// Their size in bytes: as tuples (to PostgreSQL), or on the server's disk (to SQLite).
    pub(crate) bytes: u64,
    /// Rows that go to the reject file instead, by reason.
    pub(crate) rejected: Vec<(String, Tally)>,
    /// Indexes, built once the rows are copied.
    pub(crate) indexes: Vec<OptionalDdl>,
    pub(crate) finish: T::Finish,
}

/// One column of a plan.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "T::Mapping: Serialize", deserialize = "T::Mapping: Deserialize<'de>"))]
pub(crate) struct PlannedColumn<T: Target> {
    /// Its name in the source.
    pub(crate) name: String,
    pub(crate) target_name: String,
    /// Its declared type in the source.
    pub(crate) declared: String,
    pub(crate) mapping: T::Mapping,
    /// Values that change form: what changes, and in how many of them.
    pub(crate) conversions: Vec<(Cow<'static, str>, u64)>,
    /// Why its type is not the one that the declaration suggests.
    pub(crate) reason: Option<String>,
    /// The user should review its type.
    pub(crate) needs_review: bool,
}

/// A definition that is listed as not migrated where the target refuses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OptionalDdl {
    /// Its name in the target.
    pub(crate) name: String,
    /// Its description: `index "i" on "t"`.
    pub(crate) what: String,
    pub(crate) sql: String,
    /// The object and the text of the COMMENT ON that follows it.
    #[serde(default)]
    pub(crate) note: Option<(String, String)>,
    /// Its entry in the list of what is not migrated, without the reason.
    pub(crate) left_out: LeftOut,
}

impl OptionalDdl {
    /// The definition and its comment.
    pub(crate) fn statements(&self) -> String {
        let comment = self.note.as_ref().map(|(object, text)| ddl::comment(object, Some(text)));
        format!("{}{}", self.sql, comment.unwrap_or_default())
    }
}

impl<T: Target> Plan<T> {
    /// Rows of all tables.
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// The warning that there is nothing to move.
    pub(crate) fn warning_if_empty(&self) -> Option<String> {
        let missing = if self.tables.is_empty() { "tables" } else { "rows" };
        (self.rows() == 0).then(|| format!("{}: the source has no {missing}", self.data_set))
    }

    /// The plan as it is shown.
    pub(crate) fn summary(&self) -> DataSetPlan {
        DataSetPlan {
            name: self.data_set.clone(),
            target_schema: self.target_schema.clone(),
            tables: self.tables.iter().map(PlannedTable::summary).collect(),
            left_out: self.left_out.clone(),
            drops: self.drops.clone(),
            notes: self.notes.clone(),
            casts: self.tables.iter().flat_map(PlannedTable::type_overrides).collect(),
            ..DataSetPlan::default()
        }
    }

    /// The report of a run that has copied nothing yet.
    pub(crate) fn report(&self) -> DataSetReport {
        let other_types = self.tables.iter().flat_map(PlannedTable::notes_on_types);
        DataSetReport {
            name: self.data_set.clone(),
            target_schema: self.target_schema.clone(),
            tables: self.tables.iter().map(PlannedTable::report).collect(),
            left_out: self.left_out.clone(),
            notes: self.notes.iter().cloned().chain(other_types).collect(),
            ..DataSetReport::default()
        }
    }
}

impl<T: Target> PlannedTable<T> {
    /// Rows that go to the reject file.
    pub(crate) fn rows_rejected(&self) -> u64 {
        self.rejected.iter().map(|(_, tally)| tally.count).sum()
    }

    /// Values that change form, by column.
    pub(crate) fn conversions(&self) -> Vec<ConversionReport> {
        self.columns.iter().flat_map(PlannedColumn::conversions).collect()
    }

    /// The name in the target, where it differs.
    fn renamed(&self) -> Option<String> {
        Some(T::table_name(&self.ddl)).filter(|name| *name != self.name).map(str::to_owned)
    }

    fn rows_left_out(&self) -> Vec<RowsLeftOut> {
        let by_reason = |(reason, tally): &(String, Tally)| RowsLeftOut {
            count: tally.count,
            reason: reason.clone(),
        };
        self.rejected.iter().map(by_reason).collect()
    }

    fn type_overrides(&self) -> impl Iterator<Item = TypeOverride> {
        self.columns.iter().filter_map(|column| {
            Some(TypeOverride {
                table: self.name.clone(),
                column: column.name.clone(),
                to: T::type_override(&column.mapping)?,
            })
        })
    }

    fn notes_on_types(&self) -> impl Iterator<Item = String> {
        self.columns.iter().filter_map(|column| {
            Some(format!(
                "{}.{}, declared {}, becomes {}: {}",
                quote(&self.name),
                quote(&column.name),
                if column.declared.is_empty() { "without a type" } else { &column.declared },
                column.target_type(),
                column.reason.as_ref()?
            ))
        })
    }

    fn summary(&self) -> TablePlan {
        TablePlan {
            name: self.name.clone(),
            target_name: self.renamed(),
            rows: self.rows,
            bytes: self.bytes,
            columns: self.columns.iter().filter_map(PlannedColumn::summary).collect(),
            conversions: self.conversions(),
            rows_left_out: self.rows_left_out(),
        }
    }

    fn report(&self) -> TableReport {
        TableReport {
            name: self.name.clone(),
            target_name: self.renamed(),
            conversions: self.conversions(),
            rows_left_out: self.rows_left_out(),
            ..TableReport::default()
        }
    }
}

impl<T: Target> PlannedColumn<T> {
    pub(crate) fn target_type(&self) -> String {
        T::column_type(&self.mapping)
    }

    fn conversions(&self) -> impl Iterator<Item = ConversionReport> {
        self.conversions.iter().map(|(what, count)| ConversionReport {
            column: self.name.clone(),
            to: self.target_type(),
            what: what.clone().into_owned(),
            count: *count,
        })
    }

    fn summary(&self) -> Option<ColumnPlan> {
        Some(ColumnPlan {
            column: self.name.clone(),
            declared: self.declared.clone(),
            to: self.target_type(),
            reason: self.reason.clone()?,
            needs_review: self.needs_review,
        })
    }
}

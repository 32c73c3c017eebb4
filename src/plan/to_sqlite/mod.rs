//! The plan of a file: everything that is decided before the first write into SQLite. In the order
//! of its work: `make` (the sequence), `choose`, `columns` (which type a column becomes, and why),
//! `asked` (what the server counts for that), `definitions` and `names`, `trial`, `pieces`.

pub(crate) mod build;
pub(crate) mod column_types;
pub(crate) mod ddl;
pub(crate) mod dry_run;
pub(crate) mod key_ranges;
pub(crate) mod names;
pub(crate) mod preconditions;
pub(crate) mod value_checks;

use crate::plan::OptionalDdl;
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::report::{ColumnPlan, ConversionReport, DataSetPlan, Dropped, TablePlan};
use crate::schema::LeftOut;
use crate::schema::names::quote;
use crate::sqlite::sql::ddl::TableDdl;

/// The plan of one data set.
pub(crate) struct Plan {
    pub(crate) data_set: String,
    /// The tables, in the source's order.
    pub(crate) tables: Vec<PlannedTable>,
    /// What is not carried over.
    pub(crate) left_out: Vec<LeftOut>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// The tables of the file that will be replaced.
    pub(crate) drops: Vec<Dropped>,
}

/// One table of a plan.
pub(crate) struct PlannedTable {
    /// Its name in the source.
    pub(crate) name: String,
    /// The same, qualified.
    pub(crate) qualified: String,
    /// Its definition in the target.
    pub(crate) ddl: TableDdl,
    /// What each column becomes, in the order of both.
    pub(crate) columns: Vec<PlannedColumn>,
    /// The queries that give its rows, in the order in which they are written.
    pub(crate) pieces: Vec<String>,
    /// Its rows.
    pub(crate) rows: u64,
    /// Their size on the server's disk, in bytes.
    pub(crate) bytes: u64,
    /// Bytes of its widest row, where it has wide ones.
    pub(crate) widest: u64,
    /// The columns of its primary key, by their names in the source.
    pub(crate) key: Vec<String>,
    /// Indexes, to be built after the rows.
    pub(crate) indexes: Vec<OptionalDdl>,
    /// By the number of the foreign key: its rows need not all have parents.
    pub(crate) not_valid: Vec<bool>,
    /// The last value that its key has handed out.
    pub(crate) sequence: Option<i64>,
}

/// What one column becomes.
pub(crate) struct PlannedColumn {
    /// Its name in the source.
    pub(crate) name: String,
    /// Its type there.
    pub(crate) source_type: String,
    /// Its name in the target.
    pub(crate) target: String,
    /// How it arrives.
    pub(crate) proposal: MappingCandidate,
    /// It is not how its type would have it at first, and somebody should look at that.
    pub(crate) needs_review: bool,
    /// Negative zeros in it.
    pub(crate) zeros: u64,
}

impl PlannedColumn {
    /// What is read of it.
    pub(crate) fn read(&self) -> String {
        self.proposal.read.clone().unwrap_or_else(|| quote(&self.name))
    }
}

impl Plan {
    /// Rows of all tables.
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// The plan as it is shown.
    pub(crate) fn summary(&self, target: &str) -> DataSetPlan {
        DataSetPlan {
            name: self.data_set.clone(),
            target_schema: target.to_owned(),
            continues: None,
            tables: self.tables.iter().map(PlannedTable::summary).collect(),
            left_out: self.left_out.clone(),
            drops: self.drops.clone(),
            notes: self.notes.clone(),
            casts: Vec::new(),
        }
    }
}

impl PlannedTable {
    fn summary(&self) -> TablePlan {
        let columns = self.columns.iter().filter_map(|column| {
            Some(ColumnPlan {
                column: column.name.clone(),
                declared: column.source_type.clone(),
                to: column.proposal.declared.clone(),
                reason: column.proposal.reason?.to_owned(),
                needs_review: column.needs_review,
            })
        });
        TablePlan {
            name: self.name.clone(),
            target_name: self.renamed(),
            rows: self.rows,
            bytes: self.bytes,
            columns: columns.collect(),
            conversions: self.conversions(),
            rows_left_out: Vec::new(),
        }
    }

    /// The name in the target, where it is another one.
    pub(crate) fn renamed(&self) -> Option<String> {
        (self.ddl.name != self.name).then(|| self.ddl.name.clone())
    }

    /// The declared conversions.
    pub(crate) fn conversions(&self) -> Vec<ConversionReport> {
        let zeros = self.columns.iter().filter(|column| column.zeros > 0);
        zeros
            .map(|column| ConversionReport {
                column: column.name.clone(),
                to: column.proposal.declared.clone(),
                what: "negative zero becomes zero".to_owned(),
                count: column.zeros,
            })
            .collect()
    }
}

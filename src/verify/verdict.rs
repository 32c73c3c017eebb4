//! The verdict of a verification, with its differences and hints.

use crate::codec::fidelity::{Misfit, lost_digits};
use crate::error::plural;
use crate::options::run_options::Depth;
use crate::report::{ConversionReport, DataSetReport, TableVerification, Verdict};
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::verify::compare::Compared;
use crate::verify::compared_table::ComparedTable;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct VerdictReport {
    pub(crate) differs: bool,
    /// The compared tables, in the order of the report.
    tables: Vec<VerifiedTable>,
    /// Differences other than rows.
    differences: Vec<String>,
    notes: Vec<String>,
    hints: Vec<String>,
}

#[derive(Debug)]
struct VerifiedTable {
    name: String,
    verification: TableVerification,
    conversions: Vec<ConversionReport>,
}

impl VerdictReport {
    /// The verdict on the compared tables. `differences` are the differences found before.
    pub(crate) fn new(
        tables: &[ComparedTable],
        compared: &[Compared],
        differences: Vec<String>,
        depth: Depth,
    ) -> Self {
        let mut verdict = Self { differences, ..Self::default() };
        let (mut modified_after_copy, mut has_extra_rows) = (false, false);
        for (table, compared) in tables.iter().zip(compared) {
            verdict.add_table(table, compared, depth);
            let verification = compared.report.clone();
            modified_after_copy |= compared.modified_after_copy;
            has_extra_rows |= verification.target_rows > verification.source_rows;
            let conversions = conversions(table, compared);
            let name = table.name.clone();
            verdict.tables.push(VerifiedTable { name, verification, conversions });
        }
        verdict.differs = !verdict.differences.is_empty()
            || verdict.tables.iter().any(|table| !table.verification.equal);
        if depth == Depth::Rows {
            verdict.notes.push("only rows were counted; values were not compared".to_owned());
        }
        if modified_after_copy {
            verdict.hints.push(
                "rows that differ were written to the target after the copy: stop whatever writes \
                 to it (a service that was started already?), then verify again"
                    .to_owned(),
            );
        } else if has_extra_rows {
            verdict.hints.push(
                "the target has more rows than the source: a service that was started on the \
                 target may have written them"
                    .to_owned(),
            );
        }
        verdict
    }

    /// Adds the differences and hints of one table that do not belong to single rows.
    fn add_table(&mut self, table: &ComparedTable, compared: &Compared, depth: Depth) {
        let name = quote(&table.name);
        if compared.hidden {
            self.differences.push(format!(
                "row-level security hides rows of {name} from this role, so it is not compared"
            ));
            self.hints.push(format!(
                "compare {name} as a role that its policies do not apply to: its owner, or a role \
                 with BYPASSRLS"
            ));
            return;
        }
        let skipped = compared.stats.skipped;
        if table.skips_misfits {
            if depth == Depth::Full && skipped != table.rows_left_out {
                self.differences.push(format!(
                    "the copy skipped {} of {name}, but {skipped} do not fit now",
                    plural(table.rows_left_out, "row", "rows")
                ));
            }
            return;
        }
        for (index, (count, reason)) in compared.stats.misfits.iter().enumerate() {
            let Some(reason) = reason else { continue };
            let column = quote(&table.columns[index].sqlite);
            let to = table.layout.encoders()[index].encoding.column_type;
            let values = if *count == 1 { "value does" } else { "values do" };
            self.differences.push(format!(
                "column {column} of {name}: {count} {values} not fit type {to} (first: {reason})"
            ));
            if let Misfit::NotValid(
                ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz,
            ) = reason
            {
                self.hints.push(format!(
                    "if column {column} of {name} counts from an epoch, give its unit: --cast \
                     'TABLE.COLUMN={to}:s' (or :ms, :us, :ns, :julian)"
                ));
            }
        }
    }

    /// Adds the verdict to the report of its data set. If this run did not copy the rows
    /// (`copied`), the tables' rows and conversions are those of the comparison.
    pub(crate) fn apply_to(self, report: &mut DataSetReport, copied: bool) {
        report.verdict = if self.differs { Verdict::Differ } else { Verdict::Match };
        let mut verified = self.tables.into_iter().peekable();
        for table in &mut report.tables {
            let Some(found) = verified.next_if(|found| found.name == table.name) else { continue };
            if !copied {
                table.rows = found.verification.source_rows;
                table.conversions = found.conversions;
            }
            table.verification = Some(found.verification);
        }
        report.differences.extend(self.differences);
        report.notes.extend(self.notes);
        report.hints.extend(self.hints);
    }

    /// The source's rows and digest of each table, for the ledger.
    pub(crate) fn digests(&self) -> Value {
        let pairs = self.tables.iter().map(|table| {
            let verification = &table.verification;
            let sum = verification.source_digest.clone().unwrap_or_else(|| "0".repeat(32));
            (table.name.clone(), json!({"rows": verification.source_rows, "sum": sum}))
        });
        Value::Object(pairs.collect())
    }
}

/// The conversions that equality needed, by column.
fn conversions(table: &ComparedTable, compared: &Compared) -> Vec<ConversionReport> {
    let columns = table.columns.iter().zip(table.layout.encoders()).zip(&compared.stats.converted);
    let reports = columns.flat_map(|((column, cast), [converted, rounded])| {
        let lost = lost_digits(cast.encoding.column_type);
        let counts = [(lost, rounded), ("equal once converted", converted)];
        counts.map(|(what, count)| ConversionReport {
            column: column.sqlite.clone(),
            to: cast.encoding.column_type.to_string(),
            what: what.to_owned(),
            count: *count,
        })
    });
    reports.filter(|report| report.count > 0).collect()
}

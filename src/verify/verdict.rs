//! The verdict: what all that was compared comes to, and what to tell about it.

use crate::codec::encode::column_encoder::Misfit;
use crate::options::run_options::Depth;
use crate::report::{ConversionReport, DataSetReport, TableVerification, Verdict};
use crate::schema::names::quote;
use crate::verify::Compared;
use crate::verify::table_pair::ComparedTable;
use serde_json::{Value, json};

/// A verdict with its reasons.
#[derive(Debug, Default)]
pub(crate) struct VerdictReport {
    /// Something differs.
    pub(crate) differs: bool,
    /// What each table's rows gave, in the order of the tables.
    pub(crate) tables: Vec<TableVerification>,
    /// What differs beside rows.
    pub(crate) differences: Vec<String>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// What to do.
    pub(crate) hints: Vec<String>,
}

impl VerdictReport {
    /// Judges what was compared; `differences` are those that are known already.
    pub(crate) fn new(
        subjects: &[ComparedTable],
        compared: &[Compared],
        differences: Vec<String>,
        depth: Depth,
    ) -> Self {
        let mut judged = Self { differences, ..Self::default() };
        let (mut modified_after_copy, mut has_extra_rows) = (false, false);
        for (subject, table) in subjects.iter().zip(compared) {
            judged.look_at(subject, table, depth);
            modified_after_copy |= table.modified_after_copy;
            has_extra_rows |= table.report.target_rows > table.report.source_rows;
            judged.tables.push(table.report.clone());
        }
        judged.differs =
            !judged.differences.is_empty() || judged.tables.iter().any(|table| !table.equal);
        if depth == Depth::Rows {
            judged.notes.push("only rows were counted; values were not compared".to_owned());
        }
        if modified_after_copy {
            judged.hints.push(
                "rows that differ were written to the target after the copy: whoever does so (a \
                 service that was started already?) must stop before a comparison can succeed"
                    .to_owned(),
            );
        } else if has_extra_rows {
            judged.hints.push(
                "the target has rows that the source has not: if a service was started on it \
                 already, these can be its own"
                    .to_owned(),
            );
        }
        judged
    }

    fn look_at(&mut self, subject: &ComparedTable, table: &Compared, depth: Depth) {
        let name = quote(&subject.name);
        if table.hidden {
            self.differences.push(format!(
                "row-level security hides rows of {name} from this role, so it is not compared"
            ));
            self.hints.push(format!(
                "let a role compare {name} that its policies do not bind: the owner, or one with \
                 BYPASSRLS"
            ));
            return;
        }
        if subject.leave_out && depth == Depth::Full && table.seen.left_out != subject.rows_left_out
        {
            self.differences.push(format!(
                "of {name} {} rows were left out, and {} do not fit now",
                subject.rows_left_out, table.seen.left_out
            ));
        }
        if subject.leave_out {
            return;
        }
        for (place, (count, reason)) in table.seen.unfit.iter().enumerate() {
            let Some(reason) = reason else { continue };
            let column = &subject.columns[place].name;
            let to = subject.layout.casts()[place].form.column_type();
            self.differences.push(format!(
                "column {} of {name}: {count} values are no {to} ({reason})",
                quote(column)
            ));
            if matches!(reason, Misfit::NotTimestamp | Misfit::NotDate) {
                self.hints.push(format!(
                    "if column {} of {name} counts from an epoch, say its unit: --cast \
                     'TABLE.COLUMN={to}:s' (or :ms, :us, :ns, :julian)",
                    quote(column)
                ));
            }
        }
    }

    /// Adds the verdict to the report of its data set, whose tables are in the same order.
    pub(crate) fn apply_to(&self, report: &mut DataSetReport) {
        report.verdict = if self.differs { Verdict::Differ } else { Verdict::Match };
        for (table, verification) in report.tables.iter_mut().zip(&self.tables) {
            table.verification = Some(verification.clone());
        }
        report.differences.extend(self.differences.iter().cloned());
        report.notes.extend(self.notes.iter().cloned());
        report.hints.extend(self.hints.iter().cloned());
    }

    /// The tables' digests, for the ledger.
    pub(crate) fn digests(&self, subjects: &[ComparedTable]) -> Value {
        let pairs = subjects.iter().zip(&self.tables).map(|(subject, table)| {
            let sum = table.source_digest.clone().unwrap_or_else(|| "0".repeat(32));
            (subject.name.clone(), json!({"rows": table.source_rows, "sum": sum}))
        });
        Value::Object(pairs.collect())
    }
}

/// The conversions that equality needed, by column.
pub(crate) fn conversions(subject: &ComparedTable, table: &Compared) -> Vec<ConversionReport> {
    let columns = subject.columns.iter().zip(subject.layout.casts()).zip(&table.seen.converted);
    columns
        .filter(|(_, count)| **count > 0)
        .map(|((column, cast), count)| ConversionReport {
            column: column.name.clone(),
            to: cast.form.column_type().to_string(),
            what: "equal once converted".to_owned(),
            count: *count,
        })
        .collect()
}

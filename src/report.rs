//! What a run did, as data; `cli` prints it as a table or as JSON.

use crate::control::progress::{Phase, Progress};
use crate::schema::LeftOut;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Everything there is to tell at the end of a run, whether it went well or not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The program's version.
    pub(crate) version: String,
    /// The source as a person would name it; never with a secret.
    pub(crate) source: String,
    /// The target likewise.
    pub(crate) target: String,
    /// One entry per data set.
    pub(crate) data_sets: Vec<DataSetReport>,
    /// The time of each phase that was entered, in order.
    pub(crate) phases: Vec<PhaseTime>,
    /// Wall-clock seconds of the whole run.
    pub(crate) seconds: f64,
    /// When it had to be over, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<TimeLimit>,
    /// How fast it might write and did, where that was limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate: Option<RateReport>,
    /// Warnings that belong to no data set.
    pub(crate) warnings: Vec<String>,
}

/// When a run has to be over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TimeLimit {
    /// The moment, in RFC 3339.
    pub(crate) deadline: String,
    /// The seconds that it would about take, where that could be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) estimate: Option<Estimate>,
}

/// The estimated seconds of the remaining phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Copying the rows that are not copied yet.
    pub(crate) copy: f64,
    /// Indexes, constraints and statistics.
    pub(crate) finish: f64,
    /// Reading both sides again.
    pub(crate) verify: f64,
    /// The bytes of rows still to copy.
    #[serde(skip)]
    pub(crate) bytes: u64,
    /// The copy is limited by `--max-rate`, not by the databases.
    #[serde(skip)]
    pub(crate) rate_limited: bool,
}

impl Estimate {
    /// The seconds of all phases.
    pub(crate) fn total(&self) -> f64 {
        self.copy + self.finish + self.verify
    }
}

/// The limit of bytes written per second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RateReport {
    /// Bytes a second that were asked for.
    pub(crate) asked: u64,
    /// Bytes a second that were written while copying.
    pub(crate) reached: u64,
}

impl RateReport {
    /// The rate reached under the limit `asked`; `None` without a limit.
    pub(crate) fn new(asked: Option<u64>, progress: &Progress) -> Option<Self> {
        let copy = progress.phase(Phase::Copy);
        let (bytes, seconds) = (copy.bytes.load(Ordering::Relaxed), copy.seconds());
        let reached = if seconds > 0.0 { (bytes as f64 / seconds) as u64 } else { 0 };
        Some(Self { asked: asked?, reached })
    }
}

/// How a run ended: what it did, and the error that ended it if one did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was done, as far as it got.
    pub(crate) report: Report,
    /// Whether it came to its end.
    pub(crate) result: crate::error::Result<()>,
}

/// What is known of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Both sides were read again and every value is equal, or converted as declared.
    Match,
    /// The sides differ.
    Differ,
    /// Nobody looked.
    NotVerified,
}

/// One data set's part.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DataSetReport {
    /// The data set's name: a product's (`core`, ...), or the source file's name.
    pub(crate) name: String,
    /// The target schema (or file) the tables are in.
    pub(crate) target_schema: String,
    /// The run that was continued, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<Continued>,
    /// What is known of the result.
    pub(crate) verdict: Verdict,
    /// One entry per copied table, in the source's order.
    pub(crate) tables: Vec<TableReport>,
    /// What was left out, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
    /// The steps after the rows, in the order in which they ended.
    pub(crate) steps: Vec<StepReport>,
    /// What the user should know: widened columns, order of text, renamed things.
    pub(crate) notes: Vec<String>,
    /// What differs beside rows: tables, columns, constraints, indexes, sequences.
    pub(crate) differences: Vec<String>,
    /// What to do about differences.
    pub(crate) hints: Vec<String>,
}

/// One table's part.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableReport {
    /// The table's name in the source.
    pub(crate) name: String,
    /// Its name in the target, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_name: Option<String>,
    /// Rows copied.
    pub(crate) rows: u64,
    /// Bytes of binary COPY data sent for them.
    pub(crate) bytes: u64,
    /// Seconds from the table's first chunk taken to its last chunk committed.
    pub(crate) seconds: f64,
    /// Declared conversions, by column.
    pub(crate) conversions: Vec<ConversionReport>,
    /// Rows that were left out, and why.
    pub(crate) rows_left_out: Vec<RowsLeftOut>,
    /// What comparing the two sides gave, where that was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verification: Option<TableVerification>,
}

/// What comparing the two sides of a table gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableVerification {
    /// No row differs.
    pub(crate) equal: bool,
    /// Rows in the source, without those that were left out.
    pub(crate) source_rows: u64,
    /// Rows in the target.
    pub(crate) target_rows: u64,
    /// The sum of the row hashes of the source, in hexadecimal digits; none of an empty table and
    /// where only rows were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_digest: Option<String>,
    /// The same of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_digest: Option<String>,
    /// Rows that are missing, extra or changed.
    pub(crate) differing_rows: u64,
    /// There may be more than that.
    pub(crate) at_least: bool,
    /// The first of them.
    pub(crate) differences: Vec<RowDifference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RowDifference {
    /// What is different.
    pub(crate) kind: DifferenceKind,
    /// In how many rows; more than one only of rows that are equal among themselves.
    pub(crate) rows: u64,
    /// The row's key, where it has one that may be told: integers always, other values only where
    /// values are wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) key: Vec<KeyColumn>,
    /// Where the row is in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_place: Option<String>,
    /// Where it is in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_place: Option<String>,
    /// The columns that differ; of a row that is on one side only all, where values are wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<ColumnDifference>,
}

/// The kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DifferenceKind {
    /// The row is in the source only.
    Missing,
    /// The row is in the target only.
    Extra,
    /// The row is on both sides, with different values.
    Changed,
}

/// One column of a row's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KeyColumn {
    /// The column.
    pub(crate) column: String,
    /// Its value.
    pub(crate) value: String,
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ColumnDifference {
    /// The column.
    pub(crate) column: String,
    /// The source's value, where values are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The target's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
}

/// A declared conversion that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConversionReport {
    /// The column.
    pub(crate) column: String,
    /// The target type.
    pub(crate) to: String,
    /// What changes form, in a few words.
    pub(crate) what: String,
    /// In how many values.
    pub(crate) count: u64,
}

/// Rows that did not arrive because the user said so.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RowsLeftOut {
    /// How many.
    pub(crate) count: u64,
    /// Why, in a few words.
    pub(crate) reason: String,
}

/// One step after the rows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepReport {
    /// What was done: "index \"a_b\" on \"a\"".
    pub(crate) what: String,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// The time of one phase.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseTime {
    /// Which.
    pub(crate) phase: Phase,
    /// How long.
    pub(crate) seconds: f64,
}

impl PhaseTime {
    /// The times of the phases that took any.
    pub(crate) fn all(progress: &Progress) -> Vec<Self> {
        let time = |phase| Self { phase, seconds: progress.phase(phase).seconds() };
        Phase::ALL.into_iter().map(time).filter(|time| time.seconds > 0.0).collect()
    }
}

/// What a run will do, before it does it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PlanSummary {
    /// The source as a person would name it; never with a secret.
    pub(crate) source: String,
    /// The target likewise.
    pub(crate) target: String,
    /// One entry per data set.
    pub(crate) data_sets: Vec<DataSetPlan>,
    /// When it has to be over, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<TimeLimit>,
    /// Warnings that belong to no data set.
    pub(crate) warnings: Vec<String>,
}

/// One data set's part of a plan.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DataSetPlan {
    /// The data set's name: a product's (`core`, ...), or the source file's name.
    pub(crate) name: String,
    /// The target schema (or file) the tables will be in.
    pub(crate) target_schema: String,
    /// The run that will be continued, where one will: with its plan, and without a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<Continued>,
    /// One entry per table to copy, in the source's order.
    pub(crate) tables: Vec<TablePlan>,
    /// What will be left out, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
    /// What is in the target and will be dropped first.
    pub(crate) drops: Vec<Dropped>,
    /// What the user should know: order of text, renamed things, unrelated objects.
    pub(crate) notes: Vec<String>,
    /// The type of every column, so that another run can be held to the same ones.
    pub(crate) casts: Vec<crate::options::type_override::TypeOverride>,
}

/// One table's part of a plan.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TablePlan {
    /// The table's name in the source.
    pub(crate) name: String,
    /// Its name in the target, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_name: Option<String>,
    /// Rows to copy.
    pub(crate) rows: u64,
    /// Bytes of binary COPY data they will about make.
    pub(crate) bytes: u64,
    /// The columns of which there is something to say; the others are as declared.
    pub(crate) columns: Vec<ColumnPlan>,
    /// The conversions that will happen, by column.
    pub(crate) conversions: Vec<ConversionReport>,
    /// Rows that will be left out, and why.
    pub(crate) rows_left_out: Vec<RowsLeftOut>,
}

/// A column of which there is something to say.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ColumnPlan {
    /// The column.
    pub(crate) column: String,
    /// Its declared type as written; empty where there is none.
    pub(crate) declared: String,
    /// The target type.
    pub(crate) to: String,
    /// Why it is that one, with counts and the first places.
    pub(crate) reason: String,
    /// A declared type was widened and the user should look at it.
    pub(crate) needs_review: bool,
}

/// A run that was cut off and is continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Continued {
    /// When it began, in UTC.
    pub(crate) begun: String,
    /// Chunks that were in the target.
    pub(crate) chunks_there: u64,
    /// All chunks.
    pub(crate) chunks: u64,
}

/// Something in the target that is dropped first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Dropped {
    /// What it is: `table`, `view`, `sequence`, `type`.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// The plan makes something of that name again. A table that the source lacks is dropped
    /// only with the user's express consent.
    pub(crate) comes_back: bool,
}

impl PlanSummary {
    /// The tables that would be dropped although the source has none of that name.
    pub(crate) fn lost_tables(&self) -> impl Iterator<Item = &Dropped> {
        self.data_sets
            .iter()
            .flat_map(|data_set| &data_set.drops)
            .filter(|dropped| dropped.kind == "table" && !dropped.comes_back)
    }
}

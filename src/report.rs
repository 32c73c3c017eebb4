//! The report of a run, and the summary of its plan. `cli` prints them as tables or as JSON.

use crate::codec::fidelity::DIGITS_LOST;
use crate::control::progress::{Phase, Progress};
use crate::schema::LeftOut;
use crate::schema::dropped::Dropped;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// The report of a run, whether it succeeded or failed.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    /// The program's version.
    pub(crate) version: String,
    /// The source as text, without secrets.
    pub(crate) source: String,
    /// The target as text, without secrets.
    pub(crate) target: String,
    /// One entry per data set.
    pub(crate) data_sets: Vec<DataSetReport>,
    /// The times of the phases, in their order.
    pub(crate) phases: Vec<PhaseTime>,
    /// The wall-clock seconds of the whole run.
    pub(crate) seconds: f64,
    /// The deadline, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<TimeLimit>,
    /// The limit of the write rate and the rate reached, if there was a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate: Option<RateReport>,
    /// Warnings that belong to no data set.
    pub(crate) warnings: Vec<String>,
}

/// The time limit of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TimeLimit {
    /// The deadline, in RFC 3339.
    pub(crate) deadline: String,
    /// The estimated time, if it could be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) estimate: Option<Estimate>,
}

/// The estimated seconds of the remaining phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The copy of the remaining rows.
    pub(crate) copy: f64,
    /// The creation of indexes and constraints, and the statistics.
    pub(crate) finish: f64,
    /// The verification.
    pub(crate) verify: f64,
    /// The bytes of the remaining rows.
    #[serde(skip)]
    pub(crate) bytes: u64,
    /// Whether `--max-rate` is the bottleneck of the copy.
    #[serde(skip)]
    pub(crate) rate_limited: bool,
}

impl Estimate {
    /// The seconds of all phases.
    pub(crate) fn total(&self) -> f64 {
        self.copy + self.finish + self.verify
    }
}

/// The limit of bytes written per second, and the rate reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RateReport {
    /// The limit in bytes per second.
    pub(crate) asked: u64,
    /// The rate of the copy in bytes per second.
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

/// The outcome of a run: its report, and the error that ended it, if any.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The report, also of an incomplete run.
    pub(crate) report: Report,
    /// The error that ended the run, if any.
    pub(crate) result: crate::error::Result<()>,
}

/// The verdict of the verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every value is equal on both sides, or was converted as declared.
    Match,
    /// The sides differ.
    Differ,
    /// The sides were not compared.
    #[default]
    NotVerified,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct DataSetReport {
    /// The name: that of a product's data set (`core`, ...), or the source file's name.
    pub(crate) name: String,
    /// The target schema or file of the tables.
    pub(crate) target_schema: String,
    /// The interrupted run that was resumed, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<Continued>,
    /// The verdict of the verification.
    pub(crate) verdict: Verdict,
    /// The objects that were not migrated, each with the reason; those left out by request first.
    pub(crate) left_out: Vec<LeftOut>,
    /// One entry per copied table, in the order of the source.
    pub(crate) tables: Vec<TableReport>,
    /// The steps after the copy, in the order of their completion.
    pub(crate) steps: Vec<StepReport>,
    /// Notes for the user: widened columns, sort order of text, renamed objects.
    pub(crate) notes: Vec<String>,
    /// The differences other than rows: tables, columns, constraints, indexes, sequences.
    pub(crate) differences: Vec<String>,
    /// The hints on how to fix the differences.
    pub(crate) hints: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct TableReport {
    /// The name in the source.
    pub(crate) name: String,
    /// The name in the target, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_name: Option<String>,
    /// The number of copied rows.
    pub(crate) rows: u64,
    /// The bytes of binary COPY data of these rows.
    pub(crate) bytes: u64,
    /// The seconds from the start of the first chunk to the commit of the last one.
    pub(crate) seconds: f64,
    /// The declared conversions, by column.
    pub(crate) conversions: Vec<ConversionReport>,
    /// The skipped rows, with the reasons.
    pub(crate) rows_left_out: Vec<RowsLeftOut>,
    /// The result of the verification, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verification: Option<TableVerification>,
}

/// The result of the verification of one table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableVerification {
    /// Whether all rows are equal.
    pub(crate) equal: bool,
    /// The number of rows in the source, without skipped rows.
    pub(crate) source_rows: u64,
    /// The number of rows in the target.
    pub(crate) target_rows: u64,
    /// The sum of the row hashes of the source, in hexadecimal digits. `None` if the table is
    /// empty or if only rows were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_digest: Option<String>,
    /// The sum of the row hashes of the target, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_digest: Option<String>,
    /// The number of missing, extra and changed rows.
    pub(crate) differing_rows: u64,
    /// Whether `differing_rows` is a lower bound.
    pub(crate) at_least: bool,
    /// The first differences.
    pub(crate) differences: Vec<RowDifference>,
}

/// One difference between rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RowDifference {
    pub(crate) kind: DifferenceKind,
    /// The number of rows with this difference. Only equal rows are counted together.
    pub(crate) rows: u64,
    /// The key of the row, if it has one. Keys with other values than integers are included only
    /// with `--show-values`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) key: Vec<KeyColumn>,
    /// The location of the row in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_place: Option<String>,
    /// The location of the row in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_place: Option<String>,
    /// The columns that differ. For a row that is on one side only: all columns with
    /// `--show-values`, otherwise none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<ColumnDifference>,
}

/// The kind of a difference between rows.
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
    pub(crate) column: String,
    pub(crate) value: String,
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ColumnDifference {
    pub(crate) column: String,
    /// The value in the source, only with `--show-values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The value in the target, only with `--show-values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
}

/// A declared conversion of a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConversionReport {
    pub(crate) column: String,
    /// The target type.
    pub(crate) to: String,
    /// The short description of the conversion.
    pub(crate) what: String,
    /// The number of converted values.
    pub(crate) count: u64,
}

impl ConversionReport {
    /// The values are other ones in the target.
    pub(crate) fn loses_digits(&self) -> bool {
        DIGITS_LOST.contains(&self.what.as_str())
    }
}

/// The rows that are skipped at the user's request, for one reason.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RowsLeftOut {
    /// The number of rows.
    pub(crate) count: u64,
    /// The short reason.
    pub(crate) reason: String,
}

/// One step after the copy.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepReport {
    /// The description, for example `index "a_b" on "a"`.
    pub(crate) what: String,
    /// The time in seconds.
    pub(crate) seconds: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseTime {
    pub(crate) phase: Phase,
    /// The time in seconds.
    pub(crate) seconds: f64,
}

impl PhaseTime {
    /// The times of all phases that took time.
    pub(crate) fn all(progress: &Progress) -> Vec<Self> {
        let time = |phase| Self { phase, seconds: progress.phase(phase).seconds() };
        Phase::ALL.into_iter().map(time).filter(|time| time.seconds > 0.0).collect()
    }
}

/// The summary of a run's plan.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct PlanSummary {
    /// The source as text, without secrets.
    pub(crate) source: String,
    /// The target as text, without secrets.
    pub(crate) target: String,
    /// One entry per data set.
    pub(crate) data_sets: Vec<DataSetPlan>,
    /// The deadline, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<TimeLimit>,
    /// Warnings that belong to no data set.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct DataSetPlan {
    /// The name: that of a product's data set (`core`, ...), or the source file's name.
    pub(crate) name: String,
    /// The target schema or file of the tables.
    pub(crate) target_schema: String,
    /// The interrupted run to resume, if any. Its plan is used, and the source is not profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<Continued>,
    /// The objects that will not be migrated, each with the reason; those left out by request first.
    pub(crate) left_out: Vec<LeftOut>,
    /// One entry per table to copy, in the order of the source.
    pub(crate) tables: Vec<TablePlan>,
    /// The objects in the target that will be dropped first.
    pub(crate) drops: Vec<Dropped>,
    /// Notes for the user: sort order of text, renamed objects, unrelated objects.
    pub(crate) notes: Vec<String>,
    /// The type of every column, so that another run can use the same types.
    pub(crate) casts: Vec<crate::options::type_override::TypeOverride>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct TablePlan {
    /// The name in the source.
    pub(crate) name: String,
    /// The name in the target, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_name: Option<String>,
    /// The number of rows to copy.
    pub(crate) rows: u64,
    /// The estimated bytes of binary COPY data of these rows.
    pub(crate) bytes: u64,
    /// The columns whose type is not the declared one or needs an explanation.
    pub(crate) columns: Vec<ColumnPlan>,
    /// The planned conversions, by column.
    pub(crate) conversions: Vec<ConversionReport>,
    /// The rows to skip, with the reasons.
    pub(crate) rows_left_out: Vec<RowsLeftOut>,
}

/// The plan of a column whose type is not the declared one or needs an explanation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ColumnPlan {
    pub(crate) column: String,
    /// The declared type as written; empty if there is none.
    pub(crate) declared: String,
    /// The target type.
    pub(crate) to: String,
    /// The reason for the target type, with counts and the first rows.
    pub(crate) reason: String,
    /// Whether the user should review the type.
    pub(crate) needs_review: bool,
}

/// An interrupted run that is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Continued {
    /// The start time of the interrupted run, in UTC.
    pub(crate) begun: String,
    /// The number of chunks that are already in the target.
    pub(crate) chunks_there: u64,
    /// The number of all chunks.
    pub(crate) chunks: u64,
}

impl PlanSummary {
    /// The tables that are dropped only with the user's consent.
    pub(crate) fn needing_consent(&self) -> impl Iterator<Item = &Dropped> {
        self.data_sets.iter().flat_map(move |data_set| {
            // Another data set of the schema can have the table.
            let others = move || self.same_target(data_set).flat_map(|other| &other.drops);
            let is_enough = move |dropped: &Dropped| {
                let is_same = |o: &&Dropped| (&o.kind, &o.name) == (&dropped.kind, &dropped.name);
                others().filter(is_same).any(|other| !other.needs_consent())
            };
            data_set.drops.iter().filter(move |dropped| !is_enough(dropped))
        })
    }

    /// Whether rows would be dropped although the source has none for that schema or file.
    pub(crate) fn seems_swapped(&self) -> bool {
        let has_rows = |dropped: &Dropped| dropped.target_rows.is_some_and(|rows| rows > 0);
        self.data_sets.iter().any(|data_set| {
            let tables = || self.same_target(data_set).flat_map(|other| &other.tables);
            data_set.drops.iter().any(has_rows) && tables().all(|table| table.rows == 0)
        })
    }

    /// The data sets with the target schema or file of `data_set`.
    fn same_target(&self, data_set: &DataSetPlan) -> impl Iterator<Item = &DataSetPlan> {
        self.data_sets.iter().filter(|other| other.target_schema == data_set.target_schema)
    }
}

//! A report as text: what was not migrated, tables, totals, times, verdict.

use crate::cli::output::differences;
use crate::cli::output::format::{bytes, counted, escape_for_terminal, rate, time};
use crate::cli::output::tables::{
    aligned_section, conversions, left_out, locations, notes, phases, rows_left_out, section,
    table_name, write_aligned,
};
use crate::error::count;
use crate::plan::table_selection::is_by_request;
use crate::report::{DataSetReport, RateReport, Report, TableReport, Verdict};
use crate::schema::{LeftOut, ObjectKind};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::ops::Range;

/// Shorter steps are not listed.
const MIN_STEP_SECS: f64 = 1.0;
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();

/// The columns of the table that only a copy has: bytes, seconds and rows per second.
const COPY_COLUMNS: Range<usize> = 2..5;

/// Writes `report`. The last line is the verdict, if the run `ended`. Otherwise an error follows.
pub(crate) fn write(out: &mut dyn Write, report: &Report, ended: bool) -> io::Result<()> {
    locations(out, &report.source, &report.target)?;
    for data_set in &report.data_sets {
        write_data_set(out, data_set)?;
    }
    if report.data_sets.len() > 1 {
        let sum = Sum::over(report.data_sets.iter().flat_map(|data_set| &data_set.tables));
        let (rows, bytes) = (counted(sum.rows, "row"), bytes(sum.bytes));
        writeln!(out, "\ntotal of {}: {rows}, {bytes}", counted(sum.tables, "table"))?;
    }
    notes(out, "warnings", &report.warnings)?;
    write!(out, "\ntotal time {}", time(report.seconds))?;
    match &*phases(&report.phases) {
        "" => writeln!(out)?,
        phases => writeln!(out, ": {phases}")?,
    }
    if let Some(&RateReport { asked, reached }) =
        report.max_rate.as_ref().filter(|rate| rate.reached > 0)
    {
        writeln!(out, "write rate {}/s, limit {}/s", bytes(reached), bytes(asked))?;
    }
    if ended {
        let (style, verdict) = verdict(report);
        writeln!(out, "\n{style}{verdict}{style:#}")?;
    }
    Ok(())
}

/// Writes the next steps.
pub(crate) fn write_steps(out: &mut dyn Write, steps: &[String]) -> io::Result<()> {
    notes(out, "next", steps)
}

fn write_data_set(out: &mut dyn Write, data_set: &DataSetReport) -> io::Result<()> {
    let tables = &data_set.tables;
    writeln!(out, "\n{}", table_name(&data_set.name, Some(&data_set.target_schema)))?;
    let rows = tables.iter().flat_map(|t| rows_left_out(&t.name, &t.rows_left_out));
    let all: Vec<_> = rows.chain(left_out(&data_set.left_out)).collect();
    let converted = |lossy| {
        tables.iter().flat_map(|t| conversions(&t.name, &t.conversions, lossy)).collect::<Vec<_>>()
    };
    let rounded = converted(true);
    let loses = !all.is_empty() || !rounded.is_empty();
    section(out, "not migrated", &all)?;
    aligned_section(out, "lost digits", rounded, 3)?;
    if loses {
        writeln!(out)?;
    }
    match tables[..] {
        [] => writeln!(out, "  no tables")?,
        _ => write_aligned(out, table_rows(tables), 1)?,
    }
    aligned_section(out, "converted", converted(false), 3)?;
    notes(out, "notes", &data_set.notes)?;
    let long_steps = data_set.steps.iter().filter(|step| step.seconds >= MIN_STEP_SECS);
    let steps = long_steps
        .map(|step| vec![escape_for_terminal(&step.what).into_owned(), time(step.seconds)]);
    aligned_section(out, "steps of a second and more", steps.collect(), 1)?;
    differences::write(out, data_set)
}

/// The rows of the table, with heading and totals. A comparison copies nothing: it has no bytes and
/// no times.
fn table_rows(tables: &[TableReport]) -> Vec<Vec<String>> {
    let heading = ["table", "rows", "bytes", "seconds", "rows/s", "converted", "not migrated"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for table in tables {
        let name = table_name(&table.name, table.target_name.as_deref());
        rows.push(table_row(name, &Sum::over([table]), Some(table.seconds)));
    }
    let sum = Sum::over(tables);
    // Tables are copied in parallel, so the sum of their times is meaningless.
    rows.push(table_row(format!("total of {}", counted(sum.tables, "table")), &sum, None));
    if sum.rows > 0 && sum.bytes == 0 {
        rows.iter_mut().for_each(|row| drop(row.drain(COPY_COLUMNS)));
    }
    rows
}

fn table_row(name: String, sum: &Sum, seconds: Option<f64>) -> Vec<String> {
    vec![
        name,
        count(sum.rows),
        bytes(sum.bytes),
        seconds.map(|seconds| format!("{seconds:.2}")).unwrap_or_default(),
        seconds.and_then(|seconds| rate(sum.rows, seconds)).map(count).unwrap_or_default(),
        unless_zero(sum.converted),
        unless_zero(sum.left_out),
    ]
}

fn unless_zero(number: u64) -> String {
    if number == 0 { String::new() } else { count(number) }
}

/// Sums over tables.
#[derive(Default)]
struct Sum {
    tables: u64,
    rows: u64,
    bytes: u64,
    converted: u64,
    /// Converted values that lost digits.
    rounded: u64,
    left_out: u64,
}

impl Sum {
    fn over<'a>(tables: impl IntoIterator<Item = &'a TableReport>) -> Self {
        let mut sum = Self::default();
        for table in tables {
            sum.tables += 1;
            sum.rows += table.rows;
            sum.bytes += table.bytes;
            sum.converted += table.conversions.iter().map(|c| c.count).sum::<u64>();
            let rounded = table.conversions.iter().filter(|c| c.loses_digits());
            sum.rounded += rounded.map(|c| c.count).sum::<u64>();
            sum.left_out += table.rows_left_out.iter().map(|rows| rows.count).sum::<u64>();
        }
        sum
    }
}

/// The worst verdict of the data sets.
pub(crate) fn worst_verdict(report: &Report) -> Verdict {
    let has = |verdict: &_| report.data_sets.iter().any(|data_set| data_set.verdict == *verdict);
    [Verdict::Differ, Verdict::NotVerified].into_iter().find(has).unwrap_or(Verdict::Match)
}

fn verdict(report: &Report) -> (Style, String) {
    let sum = Sum::over(report.data_sets.iter().flat_map(|data_set| &data_set.tables));
    let what = format!("{} in {}", counted(sum.rows, "row"), counted(sum.tables, "table"));
    let (style, verdict) = match worst_verdict(report) {
        Verdict::Match => (GOOD, "match"),
        Verdict::NotVerified => (DOUBTFUL, "not verified"),
        Verdict::Differ => (BAD, "the databases differ"),
    };
    (style, format!("verdict: {verdict}{}; {what}", losses(report, &sum)))
}

/// What was left out by request and what was lost: `, 1 table excluded, 2 rows not migrated`.
fn losses(report: &Report, sum: &Sum) -> String {
    let left_out = || report.data_sets.iter().flat_map(|data_set| &data_set.left_out);
    let grants = left_out().filter(|left| left.kind == ObjectKind::Grant).count() as u64;
    let excluded = [ObjectKind::Table, ObjectKind::View].map(|kind| {
        let excluded = left_out().filter(|left| left.kind == kind && is_by_request(left)).count();
        (excluded as u64, kind.as_str(), "excluded")
    });
    let counts = excluded
        .into_iter()
        .chain([(grants, "grant", "not restored")])
        .chain([(sum.left_out, "row", "not migrated"), (sum.rounded, "value", "rounded")]);
    let counts = counts.filter(|(count, ..)| *count > 0);
    let counts = counts.map(|(count, what, how)| format!(", {} {how}", counted(count, what)));
    let skipped = |left: &&LeftOut| left.kind == ObjectKind::LargeObjects && is_by_request(left);
    let skipped = Some(left_out().filter(skipped).count() as u64).filter(|count| *count > 0);
    let skipped = skipped.map(|n| format!(", large objects of {} skipped", counted(n, "column")));
    skipped.into_iter().chain(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::tables;
    use crate::control::progress::Phase;
    use crate::plan::table_selection::BY_REQUEST;
    use crate::report::{ConversionReport, PhaseTime, RowsLeftOut, StepReport};

    fn table(name: &str, rows: u64, bytes: u64, seconds: f64) -> TableReport {
        TableReport { name: name.to_owned(), rows, bytes, seconds, ..TableReport::default() }
    }

    fn report() -> Report {
        let mut events = table("events", 1_204_000, 98_765_432, 9.5);
        events.conversions.push(ConversionReport {
            column: "at".to_owned(),
            to: "timestamp".to_owned(),
            what: "other spellings of the same timestamp".to_owned(),
            count: 1204,
        });
        events.rows_left_out.push(RowsLeftOut { count: 3, reason: "NUL in text".to_owned() });
        let mut renamed = table("xmin\u{7}", 0, 0, 0.0);
        renamed.target_name = Some("xmin_1".to_owned());
        let step = |what: &str, seconds| StepReport { what: what.to_owned(), seconds };
        Report {
            source: "app.db".to_owned(),
            target: "postgres://host/db".to_owned(),
            data_sets: vec![DataSetReport {
                name: "app.db".to_owned(),
                target_schema: "public".to_owned(),
                verdict: Verdict::NotVerified,
                tables: vec![events, renamed],
                left_out: vec![
                    LeftOut::part(ObjectKind::Trigger, "events", "log", None)
                        .because("triggers are not copied"),
                ],
                steps: vec![step("index \"a\" on \"events\"", 2.5), step("quick", 0.2)],
                notes: vec!["text is ordered by bytes, as in SQLite".to_owned()],
                ..DataSetReport::default()
            }],
            phases: vec![
                PhaseTime { phase: Phase::Profile, seconds: 1.25 },
                PhaseTime { phase: Phase::Copy, seconds: 9.75 },
            ],
            seconds: 71.0,
            warnings: vec!["cannot lock app.db against writers".to_owned()],
            ..Report::default()
        }
    }

    fn text(report: &Report, ended: bool) -> String {
        tables::text(|out| write(out, report, ended))
    }

    #[test]
    fn the_report_is_written() {
        let expected = r#"from app.db
to   postgres://host/db

app.db -> public

not migrated
  3 rows of "events": NUL in text
  1 trigger: triggers are not copied
    "log" on "events"

  table                     rows    bytes  seconds   rows/s  converted  not migrated
  events               1,204,000  98.8 MB     9.50  126,737      1,204             3
  xmin\u{7} -> xmin_1          0      0 B     0.00
  total of 2 tables    1,204,000  98.8 MB                        1,204             3

converted
  events.at  timestamp  other spellings of the same timestamp  1,204

notes
  text is ordered by bytes, as in SQLite

steps of a second and more
  index "a" on "events"  2.50 s

warnings
  cannot lock app.db against writers

total time 1m 11s: profile 1.25 s, copy 9.75 s

verdict: not verified, 3 rows not migrated; 1,204,000 rows in 2 tables
"#;
        assert_eq!(text(&report(), true), expected);
        let unended = text(&report(), false);
        assert!(!unended.contains("verdict"), "a run that failed has no verdict: {unended}");
    }

    #[test]
    fn the_worst_verdict_of_several_data_sets_is_the_verdict() {
        let mut report = report();
        report.data_sets.push(report.data_sets[0].clone());
        report.data_sets[0].verdict = Verdict::Match;
        let written = text(&report, true);
        assert!(written.contains("total of 4 tables: 2,408,000 rows, 197.5 MB\n"));
        assert!(written.contains("verdict: not verified"));
        report.data_sets[1].verdict = Verdict::Differ;
        assert!(text(&report, true).contains("verdict: the databases differ"));
        report.data_sets[1].verdict = Verdict::Match;
        let written = text(&report, true);
        let verdict = "verdict: match, 6 rows not migrated; 2,408,000 rows in 4 tables\n";
        assert!(written.ends_with(verdict));
    }

    #[test]
    fn what_was_left_out_by_request_comes_first_in_the_verdict() {
        let mut report = report();
        let excluded = |kind, name: &str| LeftOut::object(kind, name, None).because(BY_REQUEST);
        report.data_sets[0].left_out = vec![
            excluded(ObjectKind::Table, "audit"),
            excluded(ObjectKind::Table, "log"),
            excluded(ObjectKind::View, "v"),
            LeftOut::object(ObjectKind::VirtualTable, "fts", None).because("an FTS5 table"),
        ];
        report.data_sets[0].verdict = Verdict::Match;
        let verdict = "\nverdict: match, 2 tables excluded, 1 view excluded, 3 rows not migrated; \
                       1,204,000 rows in 2 tables\n";
        assert!(text(&report, true).ends_with(verdict));
    }

    #[test]
    fn a_database_without_tables_says_so() {
        let mut report = report();
        report.data_sets[0].tables.clear();
        report.data_sets[0].left_out.clear();
        assert!(text(&report, true).contains("app.db -> public\n  no tables\n"));
    }
}

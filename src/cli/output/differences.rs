//! The differences of a verification, and then what to do.

use crate::cli::output::format::{counted, escape_for_terminal};
use crate::cli::output::tables::{TITLE, notes};
use crate::error::count;
use crate::report::{
    ColumnDifference, DataSetReport, DifferenceKind, RowDifference, TableReport, TableVerification,
};
use crate::schema::names::quote;
use std::io::{self, Write};

/// Writes the differences of a data set, if there are any.
pub(crate) fn write(out: &mut dyn Write, data_set: &DataSetReport) -> io::Result<()> {
    let mut lines: Vec<String> =
        data_set.differences.iter().map(|text| escape_for_terminal(text).into_owned()).collect();
    // Tables with missing or extra rows come before tables with changed values.
    let mut tables: Vec<&TableReport> = data_set.tables.iter().collect();
    let same_count = |found: &TableVerification| found.source_rows == found.target_rows;
    tables.sort_by_key(|table| table.verification.as_ref().is_none_or(same_count));
    lines.extend(tables.into_iter().filter_map(format_table).flatten());
    if lines.is_empty() {
        return Ok(());
    }
    // This list is never cut: --max-differences limits it.
    writeln!(out, "\n{TITLE}differences{TITLE:#}")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    notes(out, "what to do", &data_set.hints)
}

/// The lines of a table, if its rows differ.
fn format_table(table: &TableReport) -> Option<Vec<String>> {
    let found = table.verification.as_ref().filter(|found| !found.equal)?;
    let mut lines = vec![headline(&table.name, found)];
    lines.extend(found.differences.iter().map(|one| format!("  {}", format_row(one))));
    let shown: u64 = found.differences.iter().map(|one| one.rows).sum();
    if shown > 0 && shown < found.differing_rows {
        lines.push(format!("  and {} more", count(found.differing_rows - shown)));
    }
    Some(lines)
}

fn headline(name: &str, found: &TableVerification) -> String {
    let at_least = if found.at_least { "at least " } else { "" };
    let differing = counted(found.differing_rows, "row");
    let verb = if found.differing_rows == 1 { "differs" } else { "differ" };
    let (source, target) = (count(found.source_rows), count(found.target_rows));
    let rows = if source == target {
        format!("{source} on both sides")
    } else {
        format!("{source} in the source, {target} in the target")
    };
    format!("{}: {at_least}{differing} {verb} ({rows})", escape_for_terminal(&quote(name)))
}

/// The line of a row: the kind of difference, its key or location, and the columns.
fn format_row(row: &RowDifference) -> String {
    let kind = match row.kind {
        DifferenceKind::Missing => "missing",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Changed => "changed",
    };
    let mut text = kind.to_owned();
    if row.rows > 1 {
        text.push_str(&format!(" {} times", count(row.rows)));
    }
    let key = row.key.iter().map(|key| {
        format!("{} {}", escape_for_terminal(&key.column), escape_for_terminal(&key.value))
    });
    let locations: Vec<_> = row.source_place.iter().chain(&row.target_place).cloned().collect();
    text.push_str(&match (&*key.collect::<Vec<_>>().join(", "), &*locations.join(", ")) {
        ("", "") => String::new(),
        (one, "") | ("", one) => format!(": {one}"),
        (key, locations) => format!(": {key} ({locations})"),
    });
    if !row.columns.is_empty() {
        let columns: Vec<String> = row.columns.iter().map(format_column).collect();
        text.push_str(&format!(": {}", columns.join("; ")));
    }
    text
}

fn format_column(column: &ColumnDifference) -> String {
    let name = escape_for_terminal(&column.column);
    match (&column.source, &column.target) {
        (Some(source), Some(target)) => {
            format!(
                "\"{name}\": {} in the source, {} in the target",
                escape_for_terminal(source),
                escape_for_terminal(target)
            )
        }
        (Some(value), None) | (None, Some(value)) => {
            format!("\"{name}\": {}", escape_for_terminal(value))
        }
        (None, None) => format!("\"{name}\""),
    }
}

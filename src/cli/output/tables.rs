//! Aligned columns and lists of bounded length, for reports and plans.

use crate::cli::output::format::{counted, escape_for_terminal, time};
use crate::error::count;
use crate::report::{ConversionReport, PhaseTime, RowsLeftOut};
use crate::schema::LeftOut;
use crate::schema::names::quote;
use anstyle::Style;
use comfy_table::{CellAlignment, Table, presets};
use std::io::{self, Write};

/// The most lines of one list. JSON has the whole list.
const MAX_LIST: usize = 20;
/// The most lines of one object's definition.
const MAX_DEFINITION: usize = 5;
pub(crate) const TITLE: Style = Style::new().bold();

/// Formats `rows` as lines with aligned columns, two spaces apart. The first `words` columns are
/// aligned left, the others (numbers) right.
pub(crate) fn aligned(rows: Vec<Vec<String>>, words: usize) -> Vec<String> {
    let mut table = Table::new();
    table.force_no_tty().load_style(presets::NOTHING).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 2 }, 0));
        if index >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Writes `rows` as [`aligned`] lines.
pub(crate) fn write_aligned(
    out: &mut dyn Write,
    rows: Vec<Vec<String>>,
    words: usize,
) -> io::Result<()> {
    aligned(rows, words).iter().try_for_each(|line| writeln!(out, "  {line}"))
}

/// Writes the first lines of a plan or a report.
pub(crate) fn locations(out: &mut dyn Write, source: &str, target: &str) -> io::Result<()> {
    writeln!(out, "from {}", escape_for_terminal(source))?;
    writeln!(out, "to   {}", escape_for_terminal(target))
}

/// The name of a table, with the one in the target if that differs.
pub(crate) fn table_name(name: &str, target: Option<&str>) -> String {
    let name = escape_for_terminal(name);
    let target = target.map(|target| format!(" -> {}", escape_for_terminal(target)));
    format!("{name}{}", target.unwrap_or_default())
}

/// Phases with their times, in one line.
pub(crate) fn phases(phases: &[PhaseTime]) -> String {
    let format_phase =
        |phase: &PhaseTime| format!("{} {}", phase.phase.as_str(), time(phase.seconds));
    phases.iter().map(format_phase).collect::<Vec<_>>().join(", ")
}

/// An entry of a list.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The heading of a group, before the group's first entry.
    pub(crate) heading: Option<String>,
    /// The entry's lines.
    pub(crate) lines: Vec<String>,
}

impl From<String> for Entry {
    fn from(line: String) -> Self {
        Self { heading: None, lines: vec![line] }
    }
}

/// Writes `entries` under `title`, if there are any.
pub(crate) fn section(out: &mut dyn Write, title: &str, entries: &[Entry]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{TITLE}{title}{TITLE:#}")?;
    let mut used = 0;
    for (index, entry) in entries.iter().enumerate() {
        let lines = entry.lines.len() + usize::from(entry.heading.is_some());
        // The last line is reserved for the number of entries that are not shown.
        let free = MAX_LIST - usize::from(index + 1 < entries.len());
        if used + lines > free {
            let more = entries.len() - index;
            return writeln!(out, "  ... and {more} more; --json FILE writes all");
        }
        used += lines;
        for line in entry.heading.iter().chain(&entry.lines) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// [`section`] for lines with aligned columns.
pub(crate) fn aligned_section(
    out: &mut dyn Write,
    title: &str,
    rows: Vec<Vec<String>>,
    words: usize,
) -> io::Result<()> {
    let entries: Vec<_> = aligned(rows, words).into_iter().map(Entry::from).collect();
    section(out, title, &entries)
}

/// Writes notes or warnings under `title`, if there are any.
pub(crate) fn notes(out: &mut dyn Write, title: &str, notes: &[String]) -> io::Result<()> {
    let entries: Vec<_> =
        notes.iter().map(|note| Entry::from(escape_for_terminal(note).into_owned())).collect();
    section(out, title, &entries)
}

/// The conversions of a table that lose digits, or the others, as rows of four columns.
pub(crate) fn conversions(
    table: &str,
    conversions: &[ConversionReport],
    lossy: bool,
) -> Vec<Vec<String>> {
    let row = |conversion: &ConversionReport| {
        vec![
            escape_for_terminal(&format!("{table}.{}", conversion.column)).into_owned(),
            escape_for_terminal(&conversion.to).into_owned(),
            escape_for_terminal(&conversion.what).into_owned(),
            count(conversion.count),
        ]
    };
    conversions.iter().filter(|one| one.loses_digits() == lossy).map(row).collect()
}

/// The rows of a table that are not migrated, as list entries.
pub(crate) fn rows_left_out(table: &str, left_out: &[RowsLeftOut]) -> Vec<Entry> {
    let line = |rows: &RowsLeftOut| {
        let count = counted(rows.count, "row");
        Entry::from(format!(
            "{count} of {}: {}",
            escape_for_terminal(&quote(table)),
            escape_for_terminal(&rows.reason)
        ))
    };
    left_out.iter().map(line).collect()
}

/// The objects that are not migrated, grouped by kind and reason, in the order of the first of each
/// group.
pub(crate) fn left_out(objects: &[LeftOut]) -> Vec<Entry> {
    let mut groups: Vec<Vec<&LeftOut>> = Vec::new();
    for object in objects {
        let same = |group: &&mut Vec<&LeftOut>| {
            group.first().is_some_and(|o| o.kind == object.kind && o.reason == object.reason)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(object),
            None => groups.push(vec![object]),
        }
    }
    let mut entries = Vec::new();
    for group in groups {
        let mut heading = group.first().map(|object| {
            let count = counted(group.len() as u64, object.kind.as_str());
            format!("{count}: {}", escape_for_terminal(&object.reason))
        });
        for object in group {
            entries.push(Entry { heading: heading.take(), lines: left_out_lines(object) });
        }
    }
    entries
}

fn left_out_lines(object: &LeftOut) -> Vec<String> {
    let mut line = format!("  {}", escape_for_terminal(&quote(&object.name)));
    if let Some(table) = &object.table {
        line.push_str(&format!(" on {}", escape_for_terminal(&quote(table))));
    }
    if let Some(rows) = object.rows {
        line.push_str(&format!(", {}", counted(rows, "row")));
    }
    let definition = object.definition.as_deref().unwrap_or_default();
    let indented = |text: &str| {
        format!("      {}", escape_for_terminal(&text.trim_end().replace('\t', "    ")))
    };
    let mut lines: Vec<_> =
        definition.lines().filter(|text| !text.trim().is_empty()).map(indented).collect();
    if lines.len() > MAX_DEFINITION {
        lines.truncate(MAX_DEFINITION - 1);
        lines.push("      ...".to_owned());
    }
    lines.insert(0, line);
    lines
}

/// The text that `write` writes, without colors.
#[cfg(test)]
pub(crate) fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    write(&mut out).unwrap();
    String::from_utf8(out.into_inner()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ObjectKind;

    fn object(kind: ObjectKind, name: &str, reason: &str) -> LeftOut {
        LeftOut::object(kind, name, None).because(reason)
    }

    #[test]
    fn words_are_aligned_left_and_numbers_right() {
        let rows = [["table", "rows"], ["表", "7"], ["a", "1,234"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        assert_eq!(aligned(rows, 1), ["table   rows", "表         7", "a      1,234"]);
    }

    #[test]
    fn a_long_list_is_cut_and_shows_the_number_of_missing_entries() {
        let entries = |n: usize| (0..n).map(|i| Entry::from(i.to_string())).collect::<Vec<_>>();
        let whole = text(|out| section(out, "list", &entries(20)));
        assert_eq!(whole.lines().count(), 22);
        assert!(whole.ends_with("  19\n"));
        let cut = text(|out| section(out, "list", &entries(300)));
        assert_eq!(cut.lines().count(), 22);
        assert!(cut.ends_with("  18\n  ... and 281 more; --json FILE writes all\n"));
        assert_eq!(text(|out| section(out, "list", &[])), "");
    }

    #[test]
    fn objects_that_are_not_migrated_are_grouped_by_reason() {
        let mut index = object(ObjectKind::Index, "i\n1", "no such function");
        index.table = Some("t".to_owned());
        index.definition = Some("CREATE INDEX i\n\tON t(f(a))\n\n".to_owned());
        let mut full = object(ObjectKind::VirtualTable, "docs", "an FTS5 table");
        full.rows = Some(1234);
        let objects = [
            object(ObjectKind::Trigger, "a", "r"),
            index,
            object(ObjectKind::Trigger, "b", "r"),
            full,
        ];
        let written = text(|out| section(out, "not migrated", &left_out(&objects)));
        let expected = r#"
not migrated
  2 triggers: r
    "a"
    "b"
  1 index: no such function
    "i\n1" on "t"
        CREATE INDEX i
            ON t(f(a))
  1 virtual table: an FTS5 table
    "docs", 1,234 rows
"#;
        assert_eq!(written, expected);
    }

    #[test]
    fn a_long_definition_is_cut() {
        let mut view = object(ObjectKind::View, "v", "r");
        view.definition = Some("a\nb\nc\nd\ne\nf".to_owned());
        assert_eq!(left_out_lines(&view).len(), 6);
        assert_eq!(left_out_lines(&view).last().map(|line| line.trim()), Some("..."));
    }
}

//! A plan as text: what is not migrated, what needs review and what is dropped first, then one line
//! for each table, then details.

use crate::cli::output::format::{bytes, counted, escape_for_terminal, time_left};
use crate::cli::output::tables::{
    Entry, aligned_section, conversions, left_out, locations, notes, rows_left_out, section,
    table_name, write_aligned,
};
use crate::error::count;
use crate::report::{ColumnPlan, Continued, DataSetPlan, PlanSummary, TablePlan, TimeLimit};
use crate::schema::dropped::Dropped;
use crate::schema::names::quote;
use std::io::{self, Write};

/// Writes `plan`.
pub(crate) fn write(out: &mut dyn Write, plan: &PlanSummary) -> io::Result<()> {
    locations(out, &plan.source, &plan.target)?;
    if let Some(limit) = &plan.limit {
        write_limit(out, limit)?;
    }
    notes(out, "warnings", &plan.warnings)?;
    for data_set in &plan.data_sets {
        write_data_set(out, data_set)?;
    }
    Ok(())
}

fn write_limit(out: &mut dyn Write, limit: &TimeLimit) -> io::Result<()> {
    write!(out, "\ndeadline: {}", limit.deadline)?;
    let Some(estimate) = &limit.estimate else { return writeln!(out) };
    let [copy, finish, verify] = [estimate.copy, estimate.finish, estimate.verify].map(time_left);
    writeln!(
        out,
        "; estimated time: {} (copy {copy}, finish {finish}, verify {verify})",
        time_left(estimate.total())
    )
}

fn write_data_set(out: &mut dyn Write, data_set: &DataSetPlan) -> io::Result<()> {
    let tables = &data_set.tables;
    writeln!(
        out,
        "\n{} -> {}",
        escape_for_terminal(&data_set.name),
        escape_for_terminal(&data_set.target_schema)
    )?;
    if let Some(Continued { begun, chunks_there, chunks }) = &data_set.continues {
        writeln!(
            out,
            "\n  resumes the run of {begun}: {} of {} copied",
            count(*chunks_there),
            counted(*chunks, "chunk")
        )?;
    }
    let rows = tables.iter().flat_map(|t| rows_left_out(&t.name, &t.rows_left_out));
    let all: Vec<_> = rows.chain(left_out(&data_set.left_out)).collect();
    section(out, "not migrated", &all)?;
    let converted = |lossy| {
        tables.iter().flat_map(|t| conversions(&t.name, &t.conversions, lossy)).collect::<Vec<_>>()
    };
    aligned_section(out, "will lose digits", converted(true), 3)?;
    aligned_section(out, "needs review", columns(tables, true), 4)?;
    let (lost, others): (Vec<_>, Vec<_>) =
        data_set.drops.iter().partition(|object| object.needs_consent());
    for (heading, objects) in
        [("will be dropped first, which needs --yes", lost), ("will be dropped first", others)]
    {
        let entries = objects.into_iter().map(|object| Entry::from(dropped(object)));
        section(out, heading, &entries.collect::<Vec<_>>())?;
    }
    writeln!(out)?;
    match tables[..] {
        [] => writeln!(out, "  no tables")?,
        _ => write_aligned(out, table_rows(tables), 1)?,
    }
    aligned_section(out, "other column types", columns(tables, false), 4)?;
    aligned_section(out, "will be converted", converted(false), 3)?;
    notes(out, "notes", &data_set.notes)
}

/// An object that is dropped: `table "users" (3 rows, 1 by others; 2 in the source)`.
pub(crate) fn dropped(object: &Dropped) -> String {
    let rows = object.target_rows.map(|rows| match object.rows_by_others {
        None | Some(0) => counted(rows, "row"),
        Some(others) => format!("{}, {} by others", counted(rows, "row"), count(others)),
    });
    let source = match object.source_rows {
        Some(source) if rows.is_some() => Some(format!("{} in the source", count(source))),
        None if !object.comes_back => Some("not in the source".to_owned()),
        _ => None,
    };
    let facts: Vec<String> = rows.into_iter().chain(source).collect();
    let name = format!("{} {}", object.kind, escape_for_terminal(&quote(&object.name)));
    let attached = match (object.attached.as_str(), object.comes_back) {
        ("", _) => String::new(),
        (list, true) => format!("; restored: {list}"),
        // By name, because the user is asked for consent.
        (list, false) => {
            let names = object.attached_names.join(", ");
            format!("; lost: {list} ({})", escape_for_terminal(&names))
        }
    };
    match facts.is_empty() {
        true => format!("{name}{attached}"),
        false => format!("{name} ({}){attached}", facts.join("; ")),
    }
}

fn table_rows(tables: &[TablePlan]) -> Vec<Vec<String>> {
    // A comparison does not estimate sizes.
    let has_sizes = tables.iter().any(|table| table.bytes > 0);
    let columns = if has_sizes { 3 } else { 2 };
    let mut rows = vec![["table", "rows", "size (est.)"].map(str::to_owned).to_vec()];
    for table in tables {
        let name = table_name(&table.name, table.target_name.as_deref());
        rows.push(vec![name, count(table.rows), bytes(table.bytes)]);
    }
    rows.push(vec![
        format!("total of {}", counted(tables.len() as u64, "table")),
        count(tables.iter().map(|table| table.rows).sum()),
        bytes(tables.iter().map(|table| table.bytes).sum()),
    ]);
    rows.iter_mut().for_each(|row| row.truncate(columns));
    rows
}

/// The columns that need review, or the others that are listed.
fn columns(tables: &[TablePlan], needs_review: bool) -> Vec<Vec<String>> {
    let listed = tables.iter().flat_map(|table| table.columns.iter().map(move |c| (table, c)));
    let listed = listed.filter(|(_, column)| column.needs_review == needs_review);
    listed.map(|(table, column)| column_row(&table.name, column)).collect()
}

fn column_row(table: &str, column: &ColumnPlan) -> Vec<String> {
    let declared = if column.declared.is_empty() { "no type" } else { &column.declared };
    vec![
        escape_for_terminal(&format!("{table}.{}", column.column)).into_owned(),
        format!("{} -> {}", escape_for_terminal(declared), escape_for_terminal(&column.to)),
        escape_for_terminal(&column.reason).into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::tables::text;
    use crate::report::ConversionReport;

    fn table(name: &str, columns: Vec<ColumnPlan>) -> TablePlan {
        TablePlan {
            name: name.to_owned(),
            rows: 1200,
            bytes: 34_000,
            columns,
            ..TablePlan::default()
        }
    }

    fn column(column: &str, declared: &str, to: &str, needs_review: bool) -> ColumnPlan {
        ColumnPlan {
            column: column.to_owned(),
            declared: declared.to_owned(),
            to: to.to_owned(),
            reason: "because".to_owned(),
            needs_review,
        }
    }

    fn plan(tables: Vec<TablePlan>) -> PlanSummary {
        PlanSummary {
            source: "app.db".to_owned(),
            target: "postgres://host/db".to_owned(),
            data_sets: vec![DataSetPlan {
                name: "app.db".to_owned(),
                target_schema: "public".to_owned(),
                tables,
                ..DataSetPlan::default()
            }],
            ..PlanSummary::default()
        }
    }

    #[test]
    fn the_plan_is_written() {
        let columns =
            vec![column("note", "", "text", false), column("at", "DATETIME", "text", true)];
        let mut plan = plan(vec![table("events", columns), table("a\nb", Vec::new())]);
        let dropped =
            |(name, rows, rows_by_others, source_rows): (&str, _, _, Option<u64>)| Dropped {
                kind: "table".to_owned(),
                name: name.to_owned(),
                comes_back: source_rows.is_some(),
                target_rows: Some(rows),
                rows_by_others,
                source_rows,
                is_restarted: false,
                attached: if name == "log" { "owner".to_owned() } else { String::new() },
                attached_names: vec!["owner \"joe\"".to_owned()],
            };
        let drops = [
            ("events", 1200, None, Some(1200)),
            ("log", 1200, Some(1), Some(1199)),
            ("ours", 1200, Some(0), None),
            ("old", 0, None, None),
        ];
        plan.data_sets[0].drops = drops.map(dropped).to_vec();
        plan.data_sets[0].notes = vec!["text is ordered by bytes".to_owned()];
        plan.data_sets[0].tables[1].conversions = vec![ConversionReport {
            column: "c".to_owned(),
            to: "bytea".to_owned(),
            what: "text as its bytes".to_owned(),
            count: 7,
        }];
        let expected = r#"from app.db
to   postgres://host/db

app.db -> public

needs review
  events.at  DATETIME -> text  because

will be dropped first, which needs --yes
  table "log" (1,200 rows, 1 by others; 1,199 in the source); restored: owner
  table "ours" (1,200 rows; not in the source)
  table "old" (0 rows; not in the source)

will be dropped first
  table "events" (1,200 rows; 1,200 in the source)

  table               rows  size (est.)
  events             1,200      34.0 kB
  a\nb               1,200      34.0 kB
  total of 2 tables  2,400      68.0 kB

other column types
  events.note  no type -> text  because

will be converted
  a\nb.c  bytea  text as its bytes  7

notes
  text is ordered by bytes
"#;
        assert_eq!(text(|out| write(out, &plan)), expected);
    }

    #[test]
    fn a_large_schema_gives_a_bounded_text() {
        let tables = (0..300).map(|n| {
            let columns = vec![column("a", "INT", "text", false), column("b", "INT", "text", true)];
            table(&format!("t{n}"), columns)
        });
        let plan = plan(tables.collect());
        let written = text(|out| write(out, &plan));
        // One line for each table, and two lists of twenty lines with their headings.
        assert!(written.lines().count() < 300 + 2 * 20 + 15, "{}", written.lines().count());
        assert!(written.contains("... and 281 more; --json FILE writes all"));
    }
}

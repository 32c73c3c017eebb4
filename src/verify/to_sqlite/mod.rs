//! The comparison of both sides: the same as after a copy from SQLite, which compares the stored
//! values of a SQLite file with the rows of PostgreSQL. Only the roles are told the other way
//! round.

pub(crate) mod schema_check;

use crate::codec::encode::column_encoder::{ColumnEncoder, Encoding};
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::error::Result;
use crate::plan::to_sqlite::{Plan, PlannedColumn, PlannedTable};
use crate::postgres::connect::backend::Backend;
use crate::postgres::copy_out::{Snapshot, TupleReader};
use crate::report::{DataSetReport, DifferenceKind, TableVerification};
use crate::schema::chunk::{Chunk, KeyRange};
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use crate::schema::{RowAddress, Table};
use crate::sqlite::catalog;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::query::{TableQuery, encoding};
use crate::sqlite::source::connection::SourceConnection;
use crate::sqlite::source::open::Source;
use crate::sqlite::sql::ddl::ColumnKey;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::verify::table_pair::{ComparedTable, SubjectColumn};
use crate::verify::verdict::{VerdictReport, conversions};
use crate::verify::{Compared, Ends, Settings, compare};

/// Bytes of a table that are read from the file at a time.
const CHUNK_BYTES: u64 = 8 << 20;

/// Compares the file with what the snapshot shows, and tells the verdict to `report`, whose tables
/// are those of the plan. `copied`: the run made the file itself.
///
/// # Errors
/// Either side cannot be read. That they differ is no error.
pub(crate) fn run(
    plan: &Plan,
    source: &Source,
    snapshot: &mut Snapshot,
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    settings: &Settings<'_>,
    copied: bool,
    report: &mut DataSetReport,
) -> Result<bool> {
    let reader = source.connect()?;
    let catalog = catalog::read(&reader)?;
    let mut differences = Vec::new();
    let mut subjects = Vec::new();
    let mut places = Vec::new();
    for (place, planned) in plan.tables.iter().enumerate() {
        let there = |table: &&Table| table.name.eq_ignore_ascii_case(&planned.ddl.name);
        let Some(table) = catalog.schema.tables.iter().find(there) else {
            differences.push(format!("table {} is not in the target", quote(&planned.name)));
            continue;
        };
        subjects.push(subject(planned, table, &catalog, &reader, &mut differences)?);
        places.push(place);
        differences.extend(schema_check::broken(planned, table, &catalog));
    }
    for table in &catalog.schema.tables {
        let known = |planned: &PlannedTable| planned.ddl.name.eq_ignore_ascii_case(&table.name);
        if !plan.tables.iter().any(known) {
            report.notes.push(format!("table {} is in the target only", quote(&table.name)));
        }
    }
    drop(reader);
    let target = |_| Ok((connect()?, Backend::NONE));
    let ends = Ends { source: &|| source.connect(), target: &target };
    let mut compared = compare(&subjects, snapshot, &ends, settings)?;
    for one in &mut compared {
        turn(&mut one.report);
    }
    let judged = VerdictReport::new(&subjects, &compared, differences, settings.depth);
    tell(&judged, &subjects, &compared, &places, copied, report);
    Ok(judged.differs)
}

fn tell(
    judged: &VerdictReport,
    subjects: &[ComparedTable],
    compared: &[Compared],
    places: &[usize],
    copied: bool,
    report: &mut DataSetReport,
) {
    let tables = std::mem::take(&mut report.tables);
    judged.apply_to(report);
    report.tables = tables;
    for (number, place) in places.iter().enumerate() {
        let table = &mut report.tables[*place];
        table.verification = Some(judged.tables[number].clone());
        if !copied {
            table.rows = judged.tables[number].source_rows;
            table.conversions = conversions(&subjects[number], &compared[number]);
        }
    }
}

/// What was the source of the comparison is the target of the run.
fn turn(report: &mut TableVerification) {
    std::mem::swap(&mut report.source_rows, &mut report.target_rows);
    std::mem::swap(&mut report.source_digest, &mut report.target_digest);
    for difference in &mut report.differences {
        std::mem::swap(&mut difference.source_place, &mut difference.target_place);
        difference.kind = match difference.kind {
            DifferenceKind::Missing => DifferenceKind::Extra,
            DifferenceKind::Extra => DifferenceKind::Missing,
            DifferenceKind::Changed => DifferenceKind::Changed,
        };
        for column in &mut difference.columns {
            std::mem::swap(&mut column.source, &mut column.target);
        }
    }
}

/// A table as it is compared.
fn subject(
    planned: &PlannedTable,
    table: &Table,
    catalog: &Catalog,
    reader: &SourceConnection,
    differences: &mut Vec<String>,
) -> Result<ComparedTable> {
    let strict = catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
    let (mut columns, mut casts) = (Vec::new(), Vec::new());
    for (column, ddl) in planned.columns.iter().zip(&planned.ddl.columns) {
        let there = table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.target));
        let Some(there) = there else {
            let (name, of) = (quote(&column.name), quote(&planned.name));
            differences.push(format!("column {name} of {of} is not in the target"));
            continue;
        };
        let affinity = column_affinity(&there.declared, strict);
        let is_rowid = matches!(ddl.key, Some(ColumnKey::Rowid | ColumnKey::Autoincrement));
        let (form, read) = form(column, affinity, is_rowid);
        casts.push(ColumnEncoder { form, affinity_restores_numbers: affinity.is_numeric() });
        columns.push(SubjectColumn {
            name: there.name.clone(),
            target_name: column.name.clone(),
            as_text: false,
            read,
        });
    }
    let query = TableQuery {
        table: table.name.clone(),
        columns: columns.iter().map(|column| column.name.clone()).collect(),
        address: match &table.address {
            // Bounds are bound as UTF-8, which is not the order of another encoding.
            RowAddress::Key { .. } => RowAddress::Ordinal,
            address => address.clone(),
        },
        encoding: encoding(reader)?,
    };
    let key: Vec<String> = columns
        .iter()
        .filter(|column| planned.key.contains(&column.target_name))
        .map(|column| column.name.clone())
        .collect();
    let chunks = chunks(planned, &query, reader)?;
    let mut subject = ComparedTable {
        name: planned.name.clone(),
        target: planned.qualified.clone(),
        query,
        layout: TupleLayout::new(casts),
        chunks,
        bytes: planned.bytes,
        widest: vec![planned.widest],
        columns,
        key: Vec::new(),
        integer_key: None,
        leave_out: false,
        rows_left_out: 0,
    };
    let whole = key.len() == planned.key.len() && !key.is_empty();
    let keys: &[&[String]] = if whole { &[&key] } else { &[] };
    subject.choose_key(keys);
    Ok(subject)
}

/// How a column's stored values are compared, and with what.
fn form(column: &PlannedColumn, affinity: Affinity, is_rowid: bool) -> (Encoding, Option<String>) {
    let proposal = &column.proposal;
    let name = quote(&column.name);
    let read = proposal.compared.clone().or_else(|| proposal.read.clone());
    // A key of 64 bits cuts both sides into the same ranges.
    if is_rowid {
        return (Encoding::BigInt, Some(format!("{name}::pg_catalog.int8")));
    }
    // Somebody else's file may keep decimals in the other of their two forms.
    match (proposal.form, column.source_type.starts_with("numeric")) {
        (Encoding::Numeric, true) if affinity == Affinity::Text => {
            (Encoding::Text, Some(format!("{name}::pg_catalog.text")))
        }
        (Encoding::Text, true) if affinity.is_numeric() => (Encoding::Numeric, None),
        (form, _) => (form, read),
    }
}

/// Even ranges of the rowid; nothing where there is none, which means all rows at once.
fn chunks(
    planned: &PlannedTable,
    query: &TableQuery,
    reader: &SourceConnection,
) -> Result<Vec<Chunk>> {
    let RowAddress::Integer { column } = &query.address else { return Ok(Vec::new()) };
    let (column, table) = (quote(column), quote(&query.table));
    let end = |function: &str| -> Result<Option<i64>> {
        let sql = format!("SELECT {function}({column}) FROM {table}");
        reader.query_row(&sql, [], |row| row.get(0)).map_err(|e| read_error(&query.table, e))
    };
    let (Some(least), Some(greatest)) = (end("min")?, end("max")?) else { return Ok(Vec::new()) };
    let span = i128::from(greatest) - i128::from(least) + 1;
    let wanted = i128::from(planned.bytes.div_ceil(CHUNK_BYTES).clamp(1, 65_536)).min(span);
    let width = span / wanted + i128::from(span % wanted > 0);
    let count = (span + width - 1) / width;
    Ok((0..count)
        .map(|place| {
            let first = i128::from(least) + place * width;
            Chunk {
                number: place as u32 + 1,
                range: KeyRange::Integer {
                    first: first as i64,
                    last: (first + width - 1).min(i128::from(greatest)) as i64,
                },
                rows: planned.rows / count as u64,
                bytes: planned.bytes / count as u64,
            }
        })
        .collect())
}

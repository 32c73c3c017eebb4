//! The verification of a SQLite target: its file against the rows of PostgreSQL.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::encoding::Encoding;
use crate::error::Result;
use crate::plan::model::{Plan, PlannedColumn, PlannedTable};
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::copy_out::{Snapshot, TupleReader};
use crate::report::DataSetReport;
use crate::schema::chunk::{Chunk, KeyRange};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use crate::schema::{RowAddress, Table};
use crate::sqlite::catalog;
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::query::{TableQuery, encoding};
use crate::sqlite::source::connection::SourceConnection;
use crate::sqlite::source::open::Source;
use crate::sqlite::sql::ddl::ColumnKey;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::verify::compare::compare;
use crate::verify::compared_table::{ComparedColumn, ComparedTable};
use crate::verify::schema_check::existing::Existing;
use crate::verify::schema_check::{diff, planned};
use crate::verify::settings::{Readers, VerifySettings};
use crate::verify::verdict::VerdictReport;

/// The bytes of a table that are read from the file at a time.
const CHUNK_BYTES: u64 = 8 << 20;

/// Compares the file with the snapshot and adds the verdict to `report`, whose tables are those of
/// the plan. `copied`: this run created the file. A difference is not an error.
pub(crate) fn run(
    plan: &Plan<ToSqlite>,
    file: &Source,
    snapshot: &mut Snapshot,
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    settings: &VerifySettings<'_>,
    copied: bool,
    report: &mut DataSetReport,
) -> Result<()> {
    let reader = file.connect()?;
    let catalog = catalog::read(&reader)?;
    let existing = Existing::from_sqlite(&catalog);
    let schema_diff = diff::compare(&planned::for_sqlite(plan), &existing);
    let mut tables = Vec::new();
    for planned in &plan.tables {
        if let Some(table) = existing.table(&planned.ddl.name) {
            tables.push(compared_table(planned, table, &catalog, &reader)?);
        }
    }
    drop(reader);
    let postgres = |_| Ok((connect()?, Backend::NONE));
    let in_flight = InFlight::default();
    let readers =
        Readers { sqlite: &|| file.connect(), postgres: &postgres, in_flight: &in_flight };
    let is_missing = |name: &&String| !tables.iter().any(|table| table.postgres == **name);
    let all = plan.tables.iter().map(|table| &table.read.qualified);
    let missing: Vec<String> = all.filter(is_missing).cloned().collect();
    let compared = compare(&tables, &missing, snapshot, &readers, settings)?;
    report.notes.extend(schema_diff.notes);
    let verdict = VerdictReport::new(&tables, &compared, schema_diff.differences, settings.depth);
    verdict.apply_to(report, copied);
    Ok(())
}

fn compared_table(
    planned: &PlannedTable<ToSqlite>,
    table: &Table,
    catalog: &Catalog,
    reader: &SourceConnection,
) -> Result<ComparedTable> {
    let strict = catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
    let (mut columns, mut casts) = (Vec::new(), Vec::new());
    for (column, ddl) in planned.columns.iter().zip(&planned.ddl.columns) {
        let found = table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.target_name));
        let Some(found) = found else { continue };
        let affinity = column_affinity(&found.declared, strict);
        let is_rowid = matches!(ddl.key, Some(ColumnKey::Rowid | ColumnKey::Autoincrement));
        let (encoding, read) = compared_encoding(column, affinity, is_rowid);
        casts.push(ColumnEncoder { encoding, affinity_restores_numbers: affinity.is_numeric() });
        columns.push(ComparedColumn {
            sqlite: found.name.clone(),
            postgres: column.name.clone(),
            read,
        });
    }
    let query = TableQuery {
        table: table.name.clone(),
        columns: columns.iter().map(|column| column.sqlite.clone()).collect(),
        address: match &table.address {
            // Key bounds are bound as UTF-8, which orders otherwise than another encoding.
            RowAddress::Key { .. } => RowAddress::Ordinal,
            address => address.clone(),
        },
        encoding: encoding(reader)?,
    };
    let key: Vec<String> = columns
        .iter()
        .filter(|column| planned.read.key.contains(&column.postgres))
        .map(|column| column.sqlite.clone())
        .collect();
    let has_whole_key = key.len() == planned.read.key.len() && !key.is_empty();
    let chunks = chunks(planned, &query, reader)?;
    let mut compared = ComparedTable {
        name: planned.name.clone(),
        postgres: planned.read.qualified.clone(),
        query,
        layout: TupleLayout::new(casts),
        chunks,
        bytes: planned.bytes,
        max_row_bytes: vec![planned.read.widest],
        columns,
        key: Vec::new(),
        integer_key: None,
        skips_misfits: false,
        rows_left_out: 0,
        counted: Some(planned.rows),
    };
    let keys: &[&[String]] = if has_whole_key { &[&key] } else { &[] };
    compared.choose_key(keys);
    Ok(compared)
}

/// The encoding in which a column's stored values are compared, and the expression that is read from
/// PostgreSQL.
fn compared_encoding(
    column: &PlannedColumn<ToSqlite>,
    affinity: Affinity,
    is_rowid: bool,
) -> (Encoding, Option<String>) {
    let candidate = &column.mapping;
    let name = quote(&column.name);
    // A key of 64 bits divides both sides into the same ranges.
    if is_rowid {
        return (ColumnType::BigInt.into(), Some(format!("{name}::pg_catalog.int8")));
    }
    if let Some(text) = &candidate.compared {
        return (ColumnType::Text.into(), Some(text.clone()));
    }
    // A file that another program wrote may keep decimals in the other of their two forms.
    let is_numeric = column.declared.starts_with("numeric");
    match candidate.encoding.column_type {
        ColumnType::Numeric(_) if is_numeric && affinity == Affinity::Text => {
            (ColumnType::Text.into(), Some(format!("{name}::pg_catalog.text")))
        }
        ColumnType::Text if is_numeric && affinity.is_numeric() => {
            (ColumnType::Numeric(None).into(), None)
        }
        _ => (candidate.encoding, candidate.read.clone()),
    }
}

/// Equal ranges of the rowid; none where there is no rowid, which means all rows at once.
fn chunks(
    planned: &PlannedTable<ToSqlite>,
    query: &TableQuery,
    reader: &SourceConnection,
) -> Result<Vec<Chunk>> {
    let RowAddress::Integer { column } = &query.address else { return Ok(Vec::new()) };
    let (column, table) = (quote(column), quote(&query.table));
    let end = |function: &str| -> Result<Option<i64>> {
        let sql = format!("SELECT {function}({column}) FROM {table}");
        reader.query_row(&sql, [], |row| row.get(0)).map_err(|e| read_error(&query.table, e))
    };
    let (Some(min), Some(max)) = (end("min")?, end("max")?) else { return Ok(Vec::new()) };
    let span = i128::from(max) - i128::from(min) + 1;
    let wanted = i128::from(planned.bytes.div_ceil(CHUNK_BYTES).clamp(1, 65_536)).min(span);
    let width = span / wanted + i128::from(span % wanted > 0);
    let count = (span + width - 1) / width;
    Ok((0..count)
        .map(|index| {
            let first = i128::from(min) + index * width;
            Chunk {
                number: index as u32 + 1,
                range: KeyRange::Integer {
                    first: first as i64,
                    last: (first + width - 1).min(i128::from(max)) as i64,
                },
                rows: planned.rows / count as u64,
                bytes: planned.bytes / count as u64,
            }
        })
        .collect())
}

//! The report of differing rows: their rowids, ctids and keys, the columns that differ, and the
//! values if the user wants to see them.

use crate::codec::sqlite_value::SqliteValue;
use crate::codec::tuple::{self, Field};
use crate::codec::types::real;
use crate::error::Result;
use crate::postgres::connect::driver::Driver as _;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::errors::db_error;
use crate::postgres::relation::Relation;
use crate::report::{ColumnDifference, DifferenceKind, KeyColumn, RowDifference};
use crate::schema::RowAddress;
use crate::schema::chunk::KeyRange;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::StoredRow;
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::compared_table::ComparedTable;
use crate::verify::roles::SourceSide;
use crate::verify::row_diff::{MismatchKind, RowMismatch};
use crate::verify::rows::{PostgresRows, SqliteRows, Tid};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The maximum number of characters shown of a value.
const MAX_SHOWN_CHARS: usize = 200;

/// The report of the differing rows of one table.
pub(crate) struct ColumnDiff<'a> {
    pub(crate) table: &'a ComparedTable,
    /// The relations that hold its rows in PostgreSQL.
    pub(crate) relations: &'a [Relation],
    pub(crate) source: SourceSide,
    /// Report values, not only rows and columns.
    pub(crate) show_values: bool,
}

impl ColumnDiff<'_> {
    /// Reports all of `mismatches`, in their order.
    pub(crate) fn report(
        &self,
        mismatches: &[RowMismatch],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<Vec<RowDifference>> {
        let mut reported: Vec<Option<RowDifference>> = vec![None; mismatches.len()];
        let mut wanted: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (number, mismatch) in mismatches.iter().enumerate() {
            match mismatch.sqlite {
                Some(rowid) => wanted.entry(rowid).or_default().push(number),
                None => reported[number] = Some(self.report_one(mismatch, None, client)?),
            }
        }
        let one_row = |&rowid: &i64| KeyRange::Integer { first: rowid, last: rowid };
        let ranges: Vec<KeyRange> = match wanted.is_empty() {
            true => Vec::new(),
            false if self.has_rowid() => wanted.keys().map(one_row).collect(),
            false => vec![self.table.whole()],
        };
        let mut rows = SqliteRows::new(self.table);
        for range in ranges {
            rows.read(connection, &range, |rowid, row, tuple| {
                for number in wanted.remove(&rowid).unwrap_or_default() {
                    let sqlite = Some((row, tuple));
                    reported[number] =
                        Some(self.report_one(&mismatches[number], sqlite, client)?);
                }
                Ok(if wanted.is_empty() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
        }
        Ok(reported.into_iter().flatten().collect())
    }

    fn report_one(
        &self,
        mismatch: &RowMismatch,
        sqlite: Option<(&StoredRow<'_>, &[u8])>,
        client: &mut TupleReader,
    ) -> Result<RowDifference> {
        let mut postgres_tuple = Vec::new();
        if let Some(tid) = mismatch.postgres {
            let relation = &self.relations[tid.relation as usize];
            PostgresRows::new(self.table).read(client, relation, &tid.condition(), |tuple| {
                postgres_tuple.extend_from_slice(tuple);
                Ok(())
            })?;
        }
        let (mut sqlite_values, mut postgres_values) = (Vec::new(), Vec::new());
        if self.show_values {
            if let Some((row, _)) = sqlite {
                sqlite_values = row.restart().map(|value| Some(format_value(value))).collect();
            }
            if let Some(tid) = mismatch.postgres {
                postgres_values = self.postgres_values(tid, client)?;
            }
        }
        let columns = match (mismatch.kind, sqlite) {
            (MismatchKind::Changed, Some((_, tuple))) => differing(tuple, &postgres_tuple),
            (MismatchKind::Changed, None) => Vec::new(),
            _ if self.show_values => (0..self.table.columns.len()).collect(),
            _ => Vec::new(),
        };
        let tuple = sqlite.map_or(postgres_tuple.as_slice(), |(_, tuple)| tuple);
        let key_values = if sqlite_values.is_empty() { &postgres_values } else { &sqlite_values };
        let key = self.key(tuple, key_values);
        let row = if self.has_rowid() { "rowid" } else { "row" };
        let (source_place, target_place) = self.source.order(
            mismatch.sqlite.map(|rowid| format!("{row} {rowid}")),
            mismatch.postgres.map(|tid| format!("ctid ({},{})", tid.block, tid.offset)),
        );
        let value = |values: &[Option<String>], index: usize| values.get(index).cloned().flatten();
        let column = |index: usize| {
            let sides = (value(&sqlite_values, index), value(&postgres_values, index));
            let (source, target) = self.source.order(sides.0, sides.1);
            ColumnDifference { column: self.name(index), source, target }
        };
        Ok(RowDifference {
            kind: self.kind(mismatch.kind),
            rows: mismatch.rows,
            key,
            source_place,
            target_place,
            columns: columns.into_iter().map(column).collect(),
        })
    }

    fn kind(&self, kind: MismatchKind) -> DifferenceKind {
        let (sqlite_only, postgres_only) =
            self.source.order(DifferenceKind::Missing, DifferenceKind::Extra);
        match kind {
            MismatchKind::Changed => DifferenceKind::Changed,
            MismatchKind::SqliteOnly => sqlite_only,
            MismatchKind::PostgresOnly => postgres_only,
        }
    }

    fn has_rowid(&self) -> bool {
        matches!(self.table.query.address, RowAddress::Integer { .. })
    }

    /// The key of a row. Integers are always reported; other values are content, and reported only
    /// if `values` has them.
    fn key(&self, tuple: &[u8], values: &[Option<String>]) -> Vec<KeyColumn> {
        let fields: Vec<Field<'_>> = tuple::fields(tuple).collect();
        let part = |&index: &usize| {
            let column_type = self.table.layout.encoders()[index].encoding.column_type;
            let value = match (column_type, fields.get(index)?) {
                (ColumnType::BigInt, Field::Bytes(bytes)) => {
                    i64::from_be_bytes((*bytes).try_into().ok()?).to_string()
                }
                (ColumnType::Integer, Field::Bytes(bytes)) => {
                    i32::from_be_bytes((*bytes).try_into().ok()?).to_string()
                }
                _ => values.get(index).cloned().flatten()?,
            };
            Some(KeyColumn { column: self.name(index), value })
        };
        self.table.key.iter().map(part).collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    fn name(&self, index: usize) -> String {
        self.table.columns[index].sqlite.clone()
    }

    fn postgres_values(&self, tid: Tid, client: &mut TupleReader) -> Result<Vec<Option<String>>> {
        let list: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| {
                let name = quote(&column.postgres);
                format!("pg_catalog.left({name}::pg_catalog.text, {})", MAX_SHOWN_CHARS + 1)
            })
            .collect();
        let from = &self.relations[tid.relation as usize].from;
        let sql = format!("SELECT {} FROM {from} WHERE {}", list.join(", "), tid.condition());
        let what = format!("cannot read table {} of PostgreSQL", quote(&self.table.name));
        let row = client.first_row(&sql).map_err(db_error(&what))?;
        let value = |index: usize| match row.as_ref().map(|row| row.get(index)) {
            Some(Some(text)) => Some(truncate(text)),
            Some(None) => Some("NULL".to_owned()),
            None => None,
        };
        Ok((0..list.len()).map(value).collect())
    }
}

fn differing(one: &[u8], other: &[u8]) -> Vec<usize> {
    let pairs = tuple::fields(one).zip(tuple::fields(other)).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(index, _)| index).collect()
}

fn format_value(value: SqliteValue<'_>) -> String {
    let text = |bytes: &[u8]| {
        truncate(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_SHOWN_CHARS + 4)]))
    };
    match value {
        SqliteValue::Null => "NULL".to_owned(),
        SqliteValue::Integer(integer) => integer.to_string(),
        SqliteValue::Real(real) => {
            let mut out = Vec::new();
            real::write_text(real, &mut out);
            text(&out)
        }
        SqliteValue::Text(bytes) => text(bytes),
        SqliteValue::Blob(bytes) => {
            let hex: String =
                bytes.iter().take(MAX_SHOWN_CHARS).map(|byte| format!("{byte:02x}")).collect();
            truncate(&format!("\\x{hex}"))
        }
    }
}

/// Truncates a long text and escapes control characters.
fn truncate(text: &str) -> String {
    let mut shown = String::new();
    for (number, character) in text.chars().enumerate() {
        if number == MAX_SHOWN_CHARS {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_values_are_truncated_and_control_characters_escaped() {
        assert_eq!(format_value(SqliteValue::Text(b"a\0b\x1b[1m\n")), "a\\u{0}b\\u{1b}[1m\\n");
        assert_eq!(format_value(SqliteValue::Blob(&[0, 255])), "\\x00ff");
        assert_eq!(format_value(SqliteValue::Real(1.0)), "1.0");
        let long = "é".repeat(MAX_SHOWN_CHARS + 1);
        assert_eq!(
            format_value(SqliteValue::Text(long.as_bytes())),
            format!("{}…", "é".repeat(MAX_SHOWN_CHARS))
        );
        assert_eq!(
            format_value(SqliteValue::Text("é".repeat(MAX_SHOWN_CHARS).as_bytes())),
            "é".repeat(MAX_SHOWN_CHARS)
        );
    }
}

//! Explaining differences: the rows by their places and keys, the columns, and the values where
//! the user wants to see them.

use crate::codec::encode::column_encoder::real_text;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::tuple;
use crate::codec::tuple::Field;
use crate::error::Result;
use crate::postgres::copy_out::{Relation, TupleReader};
use crate::postgres::errors::db_error;
use crate::report::{ColumnDifference, DifferenceKind, KeyColumn, RowDifference};
use crate::schema::RowAddress;
use crate::schema::chunk::KeyRange;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::{Next, StoredRow};
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::row_diff::RowMismatch;
use crate::verify::rows::{SourceRows, TargetRows, Tid};
use crate::verify::table_pair::ComparedTable;
use postgres::SimpleQueryMessage;
use std::collections::BTreeMap;

/// Characters of a value that are shown at most.
const MAX_SHOWN_CHARS: usize = 200;

/// What differences of one table are explained with.
pub(crate) struct Explain<'a> {
    /// The table.
    pub(crate) subject: &'a ComparedTable,
    /// What holds its rows in the target.
    pub(crate) relations: &'a [Relation],
    /// Values are told, not only where they are.
    pub(crate) show_values: bool,
}

impl Explain<'_> {
    /// Explains all of `suspicions`, in their order.
    pub(crate) fn all(
        &self,
        suspicions: &[RowMismatch],
        connection: &SourceConnection,
        client: &mut TupleReader,
    ) -> Result<Vec<RowDifference>> {
        let mut told: Vec<Option<RowDifference>> = vec![None; suspicions.len()];
        let mut wanted: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (number, suspicion) in suspicions.iter().enumerate() {
            match suspicion.source {
                Some(place) => wanted.entry(place).or_default().push(number),
                None => told[number] = Some(self.one(suspicion, None, client)?),
            }
        }
        let has_rowid = matches!(self.subject.query.address, RowAddress::Integer { .. });
        let one_row = |&place: &i64| KeyRange::Integer { first: place, last: place };
        let ranges: Vec<KeyRange> = match wanted.is_empty() {
            true => Vec::new(),
            false if has_rowid => wanted.keys().map(one_row).collect(),
            false => vec![self.subject.whole()],
        };
        let mut source = SourceRows::new(self.subject);
        for range in ranges {
            source.read(connection, &range, |place, row, tuple| {
                for number in wanted.remove(&place).unwrap_or_default() {
                    told[number] =
                        Some(self.one(&suspicions[number], Some((row, tuple)), client)?);
                }
                Ok(if wanted.is_empty() { Next::Stop } else { Next::Row })
            })?;
        }
        Ok(told.into_iter().flatten().collect())
    }

    fn one(
        &self,
        suspicion: &RowMismatch,
        source: Option<(&StoredRow<'_>, &[u8])>,
        client: &mut TupleReader,
    ) -> Result<RowDifference> {
        let mut target = Vec::new();
        if let Some(tid) = suspicion.target {
            let relation = &self.relations[tid.relation as usize];
            TargetRows::new(self.subject).read(client, relation, &at(tid), |tuple| {
                target.extend_from_slice(tuple);
                Ok(())
            })?;
        }
        let differing = match (suspicion.kind, source) {
            (DifferenceKind::Changed, Some((_, tuple))) => differing(tuple, &target),
            _ => Vec::new(),
        };
        let tuple = source.map_or(target.as_slice(), |(_, tuple)| tuple);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        if self.show_values {
            if let Some((row, _)) = source {
                ours = row.again().map(|raw| Some(shown(raw))).collect();
            }
            if let Some(tid) = suspicion.target {
                theirs = self.target_values(tid, client)?;
            }
        }
        let columns = match suspicion.kind {
            DifferenceKind::Changed => differing,
            _ if self.show_values => (0..self.subject.columns.len()).collect(),
            _ => Vec::new(),
        };
        let value = |values: &[Option<String>], place: usize| values.get(place).cloned().flatten();
        Ok(RowDifference {
            kind: suspicion.kind,
            rows: suspicion.rows,
            key: self.key(tuple, if ours.is_empty() { &theirs } else { &ours }),
            source_place: suspicion.source.map(|place| self.source_place(place)),
            target_place: suspicion
                .target
                .map(|tid| format!("ctid ({},{})", tid.block, tid.offset)),
            columns: columns
                .into_iter()
                .map(|place| ColumnDifference {
                    column: self.subject.columns[place].name.clone(),
                    source: value(&ours, place),
                    target: value(&theirs, place),
                })
                .collect(),
        })
    }

    fn source_place(&self, place: i64) -> String {
        match self.subject.query.address {
            RowAddress::Integer { .. } => format!("rowid {place}"),
            _ => format!("row {place}"),
        }
    }

    /// The key of a row. Integers say which row it is; other values are content, and told only
    /// where `values` has them.
    fn key(&self, tuple: &[u8], values: &[Option<String>]) -> Vec<KeyColumn> {
        let fields: Vec<Field<'_>> = tuple::fields(tuple).collect();
        let part = |&place: &usize| {
            let column_type = self.subject.layout.casts()[place].form.column_type();
            let integer = match (column_type, fields.get(place)?) {
                (ColumnType::BigInt, Field::Bytes(b)) => i64::from_be_bytes((*b).try_into().ok()?),
                (ColumnType::Integer, Field::Bytes(b)) => {
                    i32::from_be_bytes((*b).try_into().ok()?).into()
                }
                _ => {
                    let value = values.get(place).cloned().flatten()?;
                    return Some(KeyColumn { column: self.name(place), value });
                }
            };
            Some(KeyColumn { column: self.name(place), value: integer.to_string() })
        };
        self.subject.key.iter().map(part).collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    fn name(&self, place: usize) -> String {
        self.subject.columns[place].name.clone()
    }

    fn target_values(&self, tid: Tid, client: &mut TupleReader) -> Result<Vec<Option<String>>> {
        let list: Vec<String> = self
            .subject
            .columns
            .iter()
            .map(|column| {
                let name = quote(&column.target_name);
                format!("pg_catalog.left({name}::pg_catalog.text, {})", MAX_SHOWN_CHARS + 1)
            })
            .collect();
        let relation = &self.relations[tid.relation as usize].name;
        let sql = format!("SELECT {} FROM ONLY {relation} WHERE {}", list.join(", "), at(tid));
        let what = format!("cannot read table {} of PostgreSQL", quote(&self.subject.name));
        let messages = client.simple_query(&sql).map_err(db_error(&what))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let value = |place: usize| match row.map(|row| row.get(place)) {
            Some(Some(text)) => Some(cut(text)),
            Some(None) => Some("NULL".to_owned()),
            None => None,
        };
        Ok((0..list.len()).map(value).collect())
    }
}

/// The condition that finds a row by its place.
fn at(tid: Tid) -> String {
    format!("ctid = '({},{})'::pg_catalog.tid", tid.block, tid.offset)
}

/// The places of the fields that differ.
fn differing(one: &[u8], other: &[u8]) -> Vec<usize> {
    let pairs = tuple::fields(one).zip(tuple::fields(other)).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(place, _)| place).collect()
}

/// A stored value as text.
fn shown(raw: SqliteValue<'_>) -> String {
    let text = |bytes: &[u8]| {
        cut(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_SHOWN_CHARS + 4)]))
    };
    match raw {
        SqliteValue::Null => "NULL".to_owned(),
        SqliteValue::Integer(integer) => integer.to_string(),
        SqliteValue::Real(real) => {
            let mut out = Vec::new();
            real_text(real, &mut out);
            text(&out)
        }
        SqliteValue::Text(bytes) => text(bytes),
        SqliteValue::Blob(bytes) => {
            let hex: String =
                bytes.iter().take(MAX_SHOWN_CHARS).map(|byte| format!("{byte:02x}")).collect();
            cut(&format!("\\x{hex}"))
        }
    }
}

/// A text without control characters, cut where it is long.
fn cut(text: &str) -> String {
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
    fn shown_values_are_cut_and_cannot_move_the_cursor() {
        assert_eq!(shown(SqliteValue::Text(b"a\0b\x1b[1m\n")), "a\\u{0}b\\u{1b}[1m\\n");
        assert_eq!(shown(SqliteValue::Blob(&[0, 255])), "\\x00ff");
        assert_eq!(shown(SqliteValue::Real(1.0)), "1.0");
        let long = "é".repeat(MAX_SHOWN_CHARS + 1);
        assert_eq!(
            shown(SqliteValue::Text(long.as_bytes())),
            format!("{}…", "é".repeat(MAX_SHOWN_CHARS))
        );
        assert_eq!(
            shown(SqliteValue::Text("é".repeat(MAX_SHOWN_CHARS).as_bytes())),
            "é".repeat(MAX_SHOWN_CHARS)
        );
    }
}

//! Key ranges of a table, found without reading its rows.
//!
//! The profile finds even chunks because it reads every row. Without a profile the key range is
//! halved, the widest part first. Each half is narrowed to its existing keys, so that a few keys
//! far away do not leave all others in one range.

use crate::error::Result;
use crate::schema::RowAddress;
use crate::schema::chunk::{Chunk, KeyRange};
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::query::TableQuery;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _};
use std::collections::BinaryHeap;

/// The approximate number of rows per range: a few MiB.
const ROWS_PER_RANGE: u64 = 50_000;

/// The most ranges of a table.
const MAX_RANGES: u64 = 65_536;

/// Cuts a table into ranges in key order: one range without an integer key, none without rows. The
/// total of the rows is counted, those of each range are estimates. The bytes only order the tables
/// by size.
pub(crate) fn cut(connection: &Connection, query: &TableQuery) -> Result<Vec<Chunk>> {
    query.check()?;
    let failed = |error| read_error(&query.table, error);
    let count = format!("SELECT count(*) FROM {}", quote(&query.table));
    let rows: i64 = connection.query_row(&count, [], |row| row.get(0)).map_err(failed)?;
    let rows = rows.unsigned_abs();
    let ranges = match &query.address {
        RowAddress::Integer { column } => halves(connection, &query.table, column, rows)
            .map_err(failed)?
            .into_iter()
            .map(|(first, last)| KeyRange::Integer { first, last })
            .collect(),
        _ if rows == 0 => Vec::new(),
        RowAddress::Key { .. } => vec![KeyRange::Key { after: None, through: None }],
        RowAddress::Ordinal => vec![KeyRange::Ordinal { skip: 0, rows }],
    };
    let parts = ranges.len().max(1) as u64;
    // The first range gets the remainder.
    let share = |index: usize| rows / parts + if index == 0 { rows % parts } else { 0 };
    let chunk = |(index, range)| Chunk {
        number: index as u32 + 1,
        range,
        rows: share(index),
        bytes: share(index) * query.columns.len() as u64,
    };
    Ok(ranges.into_iter().enumerate().map(chunk).collect())
}

/// Key ranges by width; the widest is the greatest.
type Widths = BinaryHeap<(u64, i64, i64)>;

fn halves(
    connection: &Connection,
    table: &str,
    column: &str,
    rows: u64,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let (table, key) = (quote(table), quote(column));
    let from = format!("SELECT {key} FROM {table} NOT INDEXED WHERE {key}");
    let mut before =
        connection.prepare_cached(&format!("{from} < ?1 ORDER BY {key} DESC LIMIT 1"))?;
    let mut after = connection.prepare_cached(&format!("{from} >= ?1 ORDER BY {key} LIMIT 1"))?;
    let find = |statement: &mut CachedStatement<'_>, key: i64| {
        statement.query_row([key], |row| row.get::<_, i64>(0)).optional()
    };
    let mut parts = Widths::new();
    let first = find(&mut after, i64::MIN)?;
    let last = match find(&mut after, i64::MAX)? {
        Some(last) => Some(last),
        None => find(&mut before, i64::MAX)?,
    };
    if let (Some(first), Some(last)) = (first, last) {
        parts.push((last.abs_diff(first), first, last));
    }
    let count = rows.div_ceil(ROWS_PER_RANGE).min(MAX_RANGES) as usize;
    while parts.len() < count {
        let Some((width, first, last)) = parts.pop().filter(|(width, ..)| *width > 0) else {
            break;
        };
        // Rounded up, so that the upper half is never the whole range.
        let middle = first.wrapping_add_unsigned(width / 2 + 1);
        let (below, above) = (find(&mut before, middle)?, find(&mut after, middle)?);
        for (first, last) in [(Some(first), below), (above, Some(last))] {
            if let (Some(first), Some(last)) = (first, last) {
                parts.push((last.abs_diff(first), first, last));
            }
        }
    }
    let mut ranges: Vec<(i64, i64)> = parts.into_iter().map(|(_, a, b)| (a, b)).collect();
    ranges.sort_unstable();
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::read::query::TextEncoding;

    const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                           LIMIT 200000) SELECT i FROM n";

    fn ranges(keys: &str) -> Vec<(i64, i64)> {
        let connection = Connection::open_in_memory().unwrap();
        let sql = format!("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t {keys}");
        connection.execute_batch(&sql).unwrap();
        let query = TableQuery {
            table: "t".to_owned(),
            columns: vec!["id".to_owned()],
            address: RowAddress::Integer { column: "id".to_owned() },
            encoding: TextEncoding::Utf8,
        };
        let chunks = cut(&connection, &query).unwrap();
        let rows: i64 =
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), rows as u64);
        let bounds = chunks.iter().map(|chunk| match chunk.range {
            KeyRange::Integer { first, last } => (first, last),
            _ => panic!("not integers"),
        });
        bounds.collect()
    }

    #[test]
    fn a_table_is_cut_evenly_and_without_gaps() {
        let found = ranges(NUMBERS);
        assert_eq!(found.len(), 4);
        assert_eq!((found[0].0, found[3].1), (1, 200_000));
        assert!(found.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{found:?}");
        assert!(found.iter().all(|(first, last)| last - first < 60_000), "{found:?}");
    }

    #[test]
    fn distant_keys_do_not_leave_all_others_in_one_range() {
        let ends = "UNION ALL VALUES (-9223372036854775808), (9223372036854775807)";
        let found = ranges(&format!("{NUMBERS} {ends}"));
        assert_eq!(found.len(), 5);
        assert_eq!(found[0], (i64::MIN, i64::MIN));
        assert_eq!(found[4], (i64::MAX, i64::MAX));
        assert!(found[1..4].iter().all(|(first, last)| last - first < 110_000), "{found:?}");
    }

    #[test]
    fn empty_and_tiny_tables_are_cut() {
        assert_eq!(ranges("SELECT 1 WHERE 0"), []);
        assert_eq!(ranges("VALUES (-5)"), [(-5, -5)]);
    }
}

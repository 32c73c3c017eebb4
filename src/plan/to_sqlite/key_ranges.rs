//! Ranges of a table's keys or blocks, each read by one query. Together they hold every row that
//! the table can have, in the order in which the rows are written.

use crate::postgres::relation::Relation;
use crate::schema::names::quote;

/// Bytes of a table that one query reads: few enough that several connections read one table, many
/// enough that round trips take no visible time.
const QUERY_BYTES: u64 = 64 << 20;
/// Bytes of a block of the server in its usual build. Only the size of the ranges depends on it.
const BLOCK_BYTES: u64 = 8192;

/// The queries for ranges of an integer key, each in key order. The first and the last are open.
pub(crate) fn key_range_queries(
    select: &str,
    from: &str,
    column: &str,
    (least, greatest): (i64, i64),
    bytes: u64,
) -> Vec<String> {
    let key = quote(column);
    let ranges = i128::from(bytes.div_ceil(QUERY_BYTES).clamp(1, 1 << 20));
    let width = (i128::from(greatest) - i128::from(least)) / ranges + 1;
    let bound = |range: i128| i128::from(least) + range * width;
    (0..ranges)
        .filter(|&range| range == 0 || bound(range) <= i128::from(greatest))
        .map(|range| {
            let mut conditions = Vec::new();
            if range > 0 {
                conditions.push(format!("{key} >= '{}'::bigint", bound(range)));
            }
            if bound(range + 1) <= i128::from(greatest) {
                conditions.push(format!("{key} < '{}'::bigint", bound(range + 1)));
            }
            let filter = match conditions.is_empty() {
                true => String::new(),
                false => format!(" WHERE {}", conditions.join(" AND ")),
            };
            format!("{select}{from}{filter} ORDER BY {key}")
        })
        .collect()
}

/// The queries for ranges of a relation's blocks. The last one is open.
pub(crate) fn block_range_queries(select: &str, relation: &Relation) -> Vec<String> {
    let step = QUERY_BYTES / BLOCK_BYTES;
    let ranges = relation.blocks.div_ceil(step).max(1);
    let from = &relation.from;
    if ranges == 1 {
        return vec![format!("{select}{from}")];
    }
    (0..ranges)
        .map(|range| {
            let first = range * step;
            let end = match range + 1 == ranges {
                true => String::new(),
                false => format!(" AND ctid < '({},0)'::pg_catalog.tid", first + step),
            };
            format!("{select}{from} WHERE ctid >= '({first},0)'::pg_catalog.tid{end}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_keys_leave_no_gap_and_are_open_at_both_ends() {
        assert_eq!(key_range_queries("", "t", "k", (1, 9), 1), ["t ORDER BY \"k\""]);
        let three = key_range_queries("", "t", "k", (i64::MIN, i64::MAX), 3 * QUERY_BYTES);
        assert_eq!(three.len(), 3);
        assert!(three[0].starts_with("t WHERE \"k\" < '"), "{}", three[0]);
        let first_end = three[0].split('\'').nth(1).unwrap();
        let second_start = three[1].split('\'').nth(1).unwrap();
        assert_eq!(first_end, second_start);
        assert!(!three[2].contains(" < "), "{}", three[2]);
        // Fewer keys than ranges.
        let few = key_range_queries("", "t", "k", (1, 2), 10 * QUERY_BYTES);
        assert_eq!(few.len(), 2);
    }
}

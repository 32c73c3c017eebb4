//! Pieces: the parts of a table that are read in one query each, in the order in which they are
//! written. Together they hold every row that there can be.

use crate::postgres::copy_out::Relation;
use crate::schema::names::quote;

/// Bytes of a table that are read in one query: few enough that several connections read one
/// table, many enough that the round trips do not show.
const PIECE_BYTES: u64 = 64 << 20;
/// Bytes of a block of the server, as it is nearly always built; the size of pieces depends on it,
/// and nothing else.
const BLOCK_BYTES: u64 = 8192;

/// Ranges of an integer key, each in its order. The first and the last one are open.
pub(crate) fn key_pieces(
    select: &str,
    from: &str,
    column: &str,
    (least, greatest): (i64, i64),
    bytes: u64,
) -> Vec<String> {
    let key = quote(column);
    let pieces = i128::from(bytes.div_ceil(PIECE_BYTES).clamp(1, 1 << 20));
    let width = (i128::from(greatest) - i128::from(least)) / pieces + 1;
    let bound = |piece: i128| i128::from(least) + piece * width;
    (0..pieces)
        .filter(|&piece| piece == 0 || bound(piece) <= i128::from(greatest))
        .map(|piece| {
            let mut conditions = Vec::new();
            if piece > 0 {
                conditions.push(format!("{key} >= '{}'::bigint", bound(piece)));
            }
            if bound(piece + 1) <= i128::from(greatest) {
                conditions.push(format!("{key} < '{}'::bigint", bound(piece + 1)));
            }
            let filter = match conditions.is_empty() {
                true => String::new(),
                false => format!(" WHERE {}", conditions.join(" AND ")),
            };
            format!("{select}{from}{filter} ORDER BY {key}")
        })
        .collect()
}

/// Ranges of a relation's blocks; the last one is open.
pub(crate) fn block_pieces(select: &str, relation: &Relation) -> Vec<String> {
    let step = PIECE_BYTES / BLOCK_BYTES;
    let pieces = relation.blocks.div_ceil(step).max(1);
    (0..pieces)
        .map(|piece| {
            let first = piece * step;
            let end = match piece + 1 == pieces {
                true => String::new(),
                false => format!(" AND ctid < '({},0)'::pg_catalog.tid", first + step),
            };
            let from = &relation.name;
            format!("{select}ONLY {from} WHERE ctid >= '({first},0)'::pg_catalog.tid{end}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_keys_leave_no_gap_and_no_end() {
        assert_eq!(key_pieces("", "t", "k", (1, 9), 1), ["t ORDER BY \"k\""]);
        let three = key_pieces("", "t", "k", (i64::MIN, i64::MAX), 3 * PIECE_BYTES);
        assert_eq!(three.len(), 3);
        assert!(three[0].starts_with("t WHERE \"k\" < '"), "{}", three[0]);
        let first_end = three[0].split('\'').nth(1).unwrap();
        let second_start = three[1].split('\'').nth(1).unwrap();
        assert_eq!(first_end, second_start);
        assert!(!three[2].contains(" < "), "{}", three[2]);
        // Fewer keys than pieces.
        let few = key_pieces("", "t", "k", (1, 2), 10 * PIECE_BYTES);
        assert_eq!(few.len(), 2);
    }
}

//! Sort keys: bytes that compare as SQLite compares values.
//!
//! Two values are equal under a collation if and only if their sort keys are. The sort keys of
//! several values can be concatenated: none is the start of another.

use crate::codec::sqlite_value::SqliteValue;
use crate::schema::expression::Collation;
use std::cmp::Ordering;

// SQLite's order of the storage classes.
const NULL: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// Appends the sort key of a value to `key`. Text under a collation of the application gets the sort
/// key of the collation BINARY.
#[inline]
pub(crate) fn push(
    value: SqliteValue<'_>,
    collation: &Collation,
    descending: bool,
    key: &mut Vec<u8>,
) {
    let start = key.len();
    match value {
        SqliteValue::Null => key.push(NULL),
        SqliteValue::Integer(integer) => {
            let near = integer as f64;
            // At most half the distance of two doubles.
            let rest = i128::from(integer) - near as i128;
            push_number(near, rest as i16, key);
        }
        // Turns -0.0 into 0.0.
        SqliteValue::Real(real) => push_number(real + 0.0, 0, key),
        SqliteValue::Text(text) => {
            key.push(TEXT);
            match collation {
                Collation::Binary | Collation::Other(_) => push_bytes(text, key),
                Collation::RTrim => push_bytes(trim_spaces(text), key),
                Collation::NoCase => push_folded(text, key),
            }
        }
        SqliteValue::Blob(blob) => {
            key.push(BLOB);
            push_bytes(blob, key);
        }
    }
    if descending {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Compares two values as SQLite does, as their sort keys compare.
#[inline]
pub(crate) fn compare(
    one: SqliteValue<'_>,
    other: SqliteValue<'_>,
    collation: &Collation,
) -> Ordering {
    match (one, other) {
        (SqliteValue::Text(one), SqliteValue::Text(other))
            if matches!(collation, Collation::Binary | Collation::Other(_)) =>
        {
            one.cmp(other)
        }
        (SqliteValue::Integer(one), SqliteValue::Integer(other)) => one.cmp(&other),
        _ => {
            let key = |value| {
                let mut key = Vec::new();
                push(value, collation, false, &mut key);
                key
            };
            key(one).cmp(&key(other))
        }
    }
}

/// A number, as the sum of a double and a small integer.
#[inline]
fn push_number(near: f64, rest: i16, key: &mut Vec<u8>) {
    let sign = 1 << 63;
    let bits = near.to_bits();
    let bits = if bits & sign == 0 { bits | sign } else { !bits };
    key.push(NUMBER);
    key.extend_from_slice(&bits.to_be_bytes());
    key.extend_from_slice(&(rest.cast_unsigned() ^ 0x8000).to_be_bytes());
}

/// Bytes and their end. A zero byte becomes two bytes, which are more than an end.
#[inline]
fn push_bytes(mut bytes: &[u8], key: &mut Vec<u8>) {
    while let Some(zero) = memchr::memchr(0, bytes) {
        key.extend_from_slice(&bytes[..zero]);
        key.extend_from_slice(&[0, 0xff]);
        bytes = &bytes[zero + 1..];
    }
    key.extend_from_slice(bytes);
    key.extend_from_slice(&[0, 0]);
}

/// NOCASE compares up to the first NUL, and then the lengths.
fn push_folded(text: &[u8], key: &mut Vec<u8>) {
    let compared = memchr::memchr(0, text).unwrap_or(text.len());
    key.extend(text[..compared].iter().map(u8::to_ascii_lowercase));
    key.push(0);
    key.extend_from_slice(&(text.len() as u64).to_be_bytes());
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::types::{Value, ValueRef};
    use rusqlite::{Connection, params_from_iter};

    fn raw(value: &Value) -> SqliteValue<'_> {
        match ValueRef::from(value) {
            ValueRef::Null => SqliteValue::Null,
            ValueRef::Integer(integer) => SqliteValue::Integer(integer),
            ValueRef::Real(real) => SqliteValue::Real(real),
            ValueRef::Text(text) => SqliteValue::Text(text),
            ValueRef::Blob(blob) => SqliteValue::Blob(blob),
        }
    }

    fn values() -> Vec<Value> {
        let integers = [0, 1, -1, 2, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        let near = [1 << 53, (1 << 53) + 1, (1 << 53) - 1, -(1 << 53) - 1, (1 << 62) + 511];
        let reals =
            [0.0, -0.0, 1.0, 0.5, -0.5, 1e300, -1e300, 5e-324, f64::INFINITY, 2f64.powi(53)];
        let more = [2f64.powi(63), -(2f64.powi(63)), 2f64.powi(62), -1e-300, f64::NEG_INFINITY];
        let texts = ["", " ", "a", "A", "a ", "a  ", "ab", "aB", "b", "[", "é", "É", "a\0", "a\0z"];
        let long = ["a\0bb", "\0", "\0\0", "a\u{1}", "a\u{ff}"];
        let blobs: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"\x01", b"\xff", b"\xff\0"];
        let numbers = integers.into_iter().chain(near).map(Value::Integer);
        let numbers = numbers.chain(reals.into_iter().chain(more).map(Value::Real));
        let texts = texts.into_iter().chain(long).map(|text| Value::Text(text.to_owned()));
        let blobs = blobs.into_iter().map(|blob| Value::Blob(blob.to_vec()));
        std::iter::once(Value::Null).chain(numbers).chain(texts).chain(blobs).collect()
    }

    #[test]
    fn sort_keys_compare_as_sqlite_compares_their_values() {
        let sqlite = Connection::open_in_memory().unwrap();
        let names = [Collation::Binary, Collation::NoCase, Collation::RTrim];
        for (collation, name) in names.iter().zip(["BINARY", "NOCASE", "RTRIM"]) {
            // NULL sorts first; to a comparison, it has no order.
            let sql = format!(
                "SELECT CASE WHEN ?1 IS ?2 COLLATE {name} THEN 0 WHEN ?1 IS NULL THEN -1 \
                 WHEN ?2 IS NULL THEN 1 WHEN ?1 < ?2 COLLATE {name} THEN -1 ELSE 1 END"
            );
            let mut order = sqlite.prepare(&sql).unwrap();
            for one in values() {
                for other in values() {
                    let expected: i64 = order
                        .query_row(params_from_iter([&one, &other]), |row| row.get(0))
                        .unwrap();
                    let compared = compare(raw(&one), raw(&other), collation) as i64;
                    assert_eq!(compared, expected, "{one:?} {other:?} {name}");
                    for descending in [false, true] {
                        let key = |value: &Value| {
                            let mut key = Vec::new();
                            push(raw(value), collation, descending, &mut key);
                            // As if another term followed.
                            key.push(0x7f);
                            key
                        };
                        let found = match key(&one).cmp(&key(&other)) {
                            Ordering::Less => -1,
                            Ordering::Equal => 0,
                            Ordering::Greater => 1,
                        };
                        let expected = if descending { -expected } else { expected };
                        assert_eq!(found, expected, "{one:?} {other:?} {name} {descending}");
                    }
                }
            }
        }
    }
}

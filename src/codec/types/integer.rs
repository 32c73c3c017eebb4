//! `smallint`, `integer` and `bigint`.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::SqliteValue;
use bytes::BytesMut;

/// Appends an integer of type `T`, which has `N` bytes.
#[inline]
pub(crate) fn encode<T: TryFrom<i64>, const N: usize>(
    value: SqliteValue<'_>,
    to_bytes: fn(T) -> [u8; N],
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let SqliteValue::Integer(integer) = value else { return Err(Misfit::NotInteger) };
    put_fixed(out, to_bytes(T::try_from(integer).map_err(|_| Misfit::OutOfRange)?));
    Ok(Fidelity::Exact)
}

/// Appends the `bigint` of a decimal text.
pub(crate) fn encode_text(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    let SqliteValue::Text(text) = value else { return Err(Misfit::NotInteger) };
    put_fixed(out, parse_canonical(text).ok_or(Misfit::NotInteger)?.to_be_bytes());
    Ok(Fidelity::Exact)
}

/// The integer of a decimal text, if SQLite itself would write the text so.
fn parse_canonical(text: &[u8]) -> Option<i64> {
    let integer: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (integer.to_string().as_bytes() == text).then_some(integer)
}

/// Reads an integer of 2, 4 or 8 bytes.
#[inline]
pub(crate) fn decode(field: &[u8]) -> Option<SqliteValue<'static>> {
    Some(SqliteValue::Integer(match *field {
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        _ => return None,
    }))
}

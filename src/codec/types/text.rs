//! `text` and `varchar(n)`.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::{check_text, put_bytes};
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::real;
use bytes::BytesMut;
use std::io::Write as _;

/// Appends text, or the decimal text of a number.
pub(crate) fn encode(
    value: SqliteValue<'_>,
    restores_numbers: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    if let SqliteValue::Text(text) = value {
        check_text(text)?;
        put_bytes(out, text);
        return Ok(Fidelity::Exact);
    }
    put_bytes(out, &number_text(value).ok_or(Misfit::NotText)?);
    Ok(Fidelity::exact_if(restores_numbers))
}

/// Appends text of at most `length` characters.
pub(crate) fn encode_varchar(
    value: SqliteValue<'_>,
    length: u32,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let SqliteValue::Text(text) = value else { return Err(Misfit::NotText) };
    check_text(text)?;
    if count_characters(text) > u64::from(length) {
        return Err(Misfit::TooLong);
    }
    put_bytes(out, text);
    Ok(Fidelity::Exact)
}

/// The decimal text of a number; `None` for any other value.
pub(crate) fn number_text(value: SqliteValue<'_>) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(32);
    match value {
        // Writing to a Vec cannot fail.
        SqliteValue::Integer(integer) => _ = write!(text, "{integer}"),
        SqliteValue::Real(real) => real::write_text(real, &mut text),
        _ => return None,
    }
    Some(text)
}

/// The number of characters of valid UTF-8.
pub(crate) fn count_characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}

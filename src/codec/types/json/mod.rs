//! `json` and `jsonb`: JSON text; `jsonb` has a version byte before it.

pub(crate) mod canonical;
pub mod validate;

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::{check_text, put_bytes};
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::json::validate::Facts;
use crate::codec::types::text::number_text;
use crate::schema::column_type::ColumnType;
use bytes::{BufMut, BytesMut};

/// The deepest nesting that is sent as JSON. The server's parser is recursive and refuses deep
/// nesting by its stack depth limit, at query time if not before.
const MAX_DEPTH: u32 = 1_000;

const INVALID: Misfit = Misfit::NotValid(ColumnType::Json);

/// Appends JSON text, or a finite number.
pub(crate) fn encode(
    value: SqliteValue<'_>,
    restores_numbers: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    if let SqliteValue::Text(text) = value {
        check(text)?;
        put_bytes(out, text);
        return Ok(Fidelity::Exact);
    }
    put_bytes(out, &number(value)?);
    Ok(Fidelity::exact_if(restores_numbers))
}

/// Appends `jsonb` as a version byte and the text. The server makes its own form of it.
pub(crate) fn encode_jsonb(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    let number_text;
    let text = match value {
        SqliteValue::Text(text) if check(text)?.huge_number => return Err(Misfit::TooManyDigits),
        SqliteValue::Text(text) => text,
        _ => {
            number_text = number(value)?;
            &number_text
        }
    };
    out.reserve(5 + text.len());
    out.put_i32(text.len() as i32 + 1);
    out.put_u8(1);
    out.put_slice(text);
    Ok(Fidelity::Converted)
}

/// Checks that a text can go into a `json` column, and that every operator can read it there: `->>`
/// reads the escapes of the whole document and fails at one that is no character.
fn check(text: &[u8]) -> Result<Facts, Misfit> {
    check_text(text)?;
    let facts = validate::validate(text).ok_or(INVALID)?;
    if facts.nul_escape {
        return Err(Misfit::JsonNul);
    }
    if facts.bad_surrogates {
        return Err(Misfit::JsonSurrogate);
    }
    if facts.depth > MAX_DEPTH {
        return Err(Misfit::JsonTooDeep);
    }
    Ok(facts)
}

fn number(value: SqliteValue<'_>) -> Result<Vec<u8>, Misfit> {
    match value {
        SqliteValue::Real(real) if !real.is_finite() => Err(INVALID),
        _ => number_text(value).ok_or(INVALID),
    }
}

/// The text of a `jsonb` field.
pub(crate) fn decode_jsonb(field: &[u8]) -> Option<SqliteValue<'_>> {
    field.strip_prefix(&[1]).map(SqliteValue::Text)
}

//! `bytea`.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::{MAX_FIELD, put_bytes};
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::text;
use bytes::BytesMut;

/// Appends a blob, the bytes of a text, or the bytes of a number's decimal text.
pub(crate) fn encode(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    match value {
        SqliteValue::Text(bytes) | SqliteValue::Blob(bytes) if bytes.len() > MAX_FIELD => {
            return Err(Misfit::TooLarge);
        }
        SqliteValue::Text(bytes) | SqliteValue::Blob(bytes) => put_bytes(out, bytes),
        number => put_bytes(out, &text::number_text(number).ok_or(Misfit::NotText)?),
    }
    Ok(Fidelity::exact_if(matches!(value, SqliteValue::Blob(_))))
}

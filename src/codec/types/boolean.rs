//! `boolean`: 0 and 1, or words, in SQLite; one byte in PostgreSQL.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;

/// The words for booleans: the true and the false word of each pair.
pub(crate) const WORDS: [(&[u8], &[u8]); 4] =
    [(b"t", b"f"), (b"true", b"false"), (b"yes", b"no"), (b"on", b"off")];

/// The index of a text's pair in [`WORDS`], and its value.
pub(crate) fn parse_word(text: &[u8]) -> Option<(usize, bool)> {
    WORDS.iter().enumerate().find_map(|(pair, (yes, no))| {
        let truth = text.eq_ignore_ascii_case(yes);
        (truth || text.eq_ignore_ascii_case(no)).then_some((pair, truth))
    })
}

pub(crate) fn encode(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    const INVALID: Misfit = Misfit::NotValid(ColumnType::Boolean);
    let (truth, fidelity) = match value {
        SqliteValue::Integer(integer @ (0 | 1)) => (integer == 1, Fidelity::Exact),
        SqliteValue::Text(text) => (parse_word(text).ok_or(INVALID)?.1, Fidelity::Converted),
        _ => return Err(INVALID),
    };
    put_fixed(out, [u8::from(truth)]);
    Ok(fidelity)
}

pub(crate) fn decode(field: &[u8]) -> Option<SqliteValue<'static>> {
    match field {
        [byte @ (0 | 1)] => Some(SqliteValue::Integer(i64::from(*byte))),
        _ => None,
    }
}

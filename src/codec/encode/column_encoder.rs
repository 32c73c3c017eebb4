//! The encoder of one column: stored values to fields of a tuple.
//!
//! The encoder says of each value that it arrives exactly, that it arrives converted (the value
//! that would come back differs, which the plan declares and counts), or that it does not fit, with
//! the reason. The profile and the copy use the same encoder, so that the copy does what the plan
//! promised.

use crate::codec::encoding::{Encoding, StoredForm};
use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::{MAX_FIELD, check_text, put_bytes, put_i64_field, put_null};
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;
use serde::{Deserialize, Serialize};

/// An encoding, and what the source column does to values that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEncoder {
    /// The encoding.
    pub encoding: Encoding,
    /// The source column's affinity turns the text of a number, or a double without a fraction,
    /// back into the original number. Without it, such a value counts as converted.
    pub affinity_restores_numbers: bool,
}

impl ColumnEncoder {
    /// Appends a value as one field: its length and its bytes. Errors: the reason why the value
    /// does not fit. The caller discards what was appended.
    #[inline(always)]
    pub(crate) fn encode(
        &self,
        value: SqliteValue<'_>,
        out: &mut BytesMut,
    ) -> Result<Fidelity, Misfit> {
        // The values that fill most tables. Everything else is out of the way of the loop.
        match (self.encoding.column_type, value) {
            (_, SqliteValue::Null) => put_null(out),
            (ColumnType::BigInt, SqliteValue::Integer(integer))
                if self.encoding.stored == StoredForm::Usual =>
            {
                put_i64_field(out, integer.to_be_bytes());
            }
            (ColumnType::Text, SqliteValue::Text(text)) => {
                check_text(text)?;
                put_bytes(out, text);
            }
            (ColumnType::Double, SqliteValue::Real(real)) => {
                put_i64_field(out, real.to_bits().to_be_bytes());
            }
            (ColumnType::Bytea, SqliteValue::Blob(blob)) => {
                if blob.len() > MAX_FIELD {
                    return Err(Misfit::TooLarge);
                }
                put_bytes(out, blob);
            }
            _ => return self.encode_slow_path(value, out),
        }
        Ok(Fidelity::Exact)
    }

    #[inline(never)]
    fn encode_slow_path(
        &self,
        value: SqliteValue<'_>,
        out: &mut BytesMut,
    ) -> Result<Fidelity, Misfit> {
        types::encode(self.encoding, self.affinity_restores_numbers, value, out)
    }
}

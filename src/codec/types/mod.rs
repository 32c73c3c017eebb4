//! The column types: one file or folder per type, and the dispatch to them.
//!
//! To add a type, write its file here and name it in [`encode`] and [`decode`]; in [`canonical`]
//! only if equal values have several binary forms, in [`heap_size`] only if its size is fixed.

pub(crate) mod boolean;
pub(crate) mod bytea;
pub(crate) mod inet;
pub(crate) mod integer;
pub(crate) mod interval;
pub(crate) mod json;
pub mod numeric;
pub(crate) mod real;
pub(crate) mod temporal;
pub(crate) mod text;
pub mod uuid;

use crate::codec::encoding::{Encoding, StoredForm};
use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;

/// Appends a value as a field. `restores_numbers`: the source column's affinity turns the text of a
/// number back into the number.
#[inline]
pub(crate) fn encode(
    encoding: Encoding,
    restores_numbers: bool,
    value: SqliteValue<'_>,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    match (encoding.column_type, encoding.stored) {
        (_, StoredForm::IntegerText) => integer::encode_text(value, out),
        (to, StoredForm::Epoch(epoch)) => temporal::encode_epoch(epoch, to, value, out),
        (ColumnType::Boolean, _) => boolean::encode(value, out),
        (ColumnType::SmallInt, _) => integer::encode::<i16, 2>(value, i16::to_be_bytes, out),
        (ColumnType::Integer, _) => integer::encode::<i32, 4>(value, i32::to_be_bytes, out),
        (ColumnType::BigInt, _) => integer::encode::<i64, 8>(value, i64::to_be_bytes, out),
        (ColumnType::Real, _) => real::encode_single(value, restores_numbers, out),
        (ColumnType::Double, _) => real::encode_double(value, restores_numbers, out),
        (ColumnType::Numeric(limits), _) => numeric::encode(value, limits, restores_numbers, out),
        (ColumnType::Text, _) => text::encode(value, restores_numbers, out),
        (ColumnType::Varchar(length), _) => text::encode_varchar(value, length, out),
        (ColumnType::Bytea, _) => bytea::encode(value, out),
        (ColumnType::Date, _) => temporal::encode_date(value, out),
        (ColumnType::Time, _) => temporal::encode_time(value, out),
        (ColumnType::Timestamp, _) => temporal::encode_timestamp(value, false, out),
        (ColumnType::TimestampTz, _) => temporal::encode_timestamp(value, true, out),
        (ColumnType::Interval, _) => interval::encode(value, out),
        (ColumnType::Uuid, _) => uuid::encode(value, out),
        (ColumnType::Json, _) => json::encode(value, restores_numbers, out),
        (ColumnType::Jsonb, _) => json::encode_jsonb(value, out),
        (ColumnType::Inet, _) => inet::encode(value, out),
    }
}

/// The SQLite value of a field. Text that has to be written is written into `scratch`, which is
/// empty. `None` for a malformed field, and for a value that SQLite does not have.
#[inline]
pub(crate) fn decode<'a>(
    encoding: Encoding,
    field: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Option<SqliteValue<'a>> {
    if let Some(epoch) = encoding.epoch() {
        return temporal::decode_epoch(epoch, encoding.column_type, field);
    }
    match encoding.column_type {
        ColumnType::Boolean => return boolean::decode(field),
        ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => {
            return integer::decode(field);
        }
        ColumnType::Real | ColumnType::Double => return real::decode(field),
        ColumnType::Numeric(_) => return numeric::decode_number(field, scratch),
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Json => {
            return Some(SqliteValue::Text(field));
        }
        ColumnType::Jsonb => return json::decode_jsonb(field),
        ColumnType::Bytea => return Some(SqliteValue::Blob(field)),
        ColumnType::Date => temporal::decode_date(field, scratch)?,
        ColumnType::Time => temporal::decode_time(field, scratch)?,
        ColumnType::Timestamp => temporal::decode_timestamp(field, false, scratch)?,
        ColumnType::TimestampTz => temporal::decode_timestamp(field, true, scratch)?,
        ColumnType::Interval => interval::decode(field, scratch)?,
        ColumnType::Uuid => uuid::format(field.try_into().ok()?, scratch),
        ColumnType::Inet => inet::decode(field, scratch)?,
    }
    Some(SqliteValue::Text(scratch))
}

/// A function that appends the one form that all binary forms of a value share. `None`, with any
/// bytes appended, for a malformed field.
pub(crate) type Canonical = fn(&[u8], &mut Vec<u8>) -> Option<()>;

/// The canonical form of a type, where equal values have several binary forms.
pub(crate) fn canonical(column_type: ColumnType) -> Option<Canonical> {
    match column_type {
        ColumnType::Numeric(_) => Some(numeric::canonical),
        ColumnType::Jsonb => Some(json::canonical::canonical),
        _ => None,
    }
}

/// The alignment and the size of a value in a heap page, where all values of the type have the same
/// size.
pub(crate) fn heap_size(column_type: ColumnType) -> Option<(usize, usize)> {
    match column_type {
        ColumnType::Boolean => Some((1, 1)),
        ColumnType::SmallInt => Some((2, 2)),
        ColumnType::Integer | ColumnType::Real | ColumnType::Date => Some((4, 4)),
        ColumnType::BigInt
        | ColumnType::Double
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::TimestampTz => Some((8, 8)),
        ColumnType::Interval => Some((8, 16)),
        ColumnType::Uuid => Some((1, 16)),
        _ => None,
    }
}

/// A text is how PostgreSQL prints some value of the type (timestamps with time zone at UTC).
pub(crate) fn is_canonical(column_type: ColumnType, text: &str) -> bool {
    let value = SqliteValue::Text(text.as_bytes());
    encode(column_type.into(), false, value, &mut BytesMut::new()) == Ok(Fidelity::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_is_what_postgresql_prints() {
        for (column_type, canonical, others) in [
            (ColumnType::Date, "2024-02-29", "2023-02-29|0000-01-01"),
            (ColumnType::Time, "23:59:59.5", "23:59:59.50|23:59:60"),
            (ColumnType::Timestamp, "2024-01-01 00:00:00", "2024-01-01T00:00:00|2024-01-01"),
            (ColumnType::TimestampTz, "2024-01-01 00:00:00+00:00", "2024-01-01 00:00:00+01:00"),
            (
                ColumnType::Uuid,
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            ),
        ] {
            assert!(is_canonical(column_type, canonical), "{canonical}");
            for text in others.split('|') {
                assert!(!is_canonical(column_type, text), "{text}");
            }
        }
    }
}

//! Decoding: a field of a PostgreSQL tuple to the value that SQLite stores for it.
//!
//! The plan has counted the values that SQLite does not have (NaN, infinite dates) before the first
//! row is read. One that appears later ends the run; nothing is replaced silently.

use crate::codec::encoding::Encoding;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::{self, integer, real};
use crate::schema::column_type::ColumnType;

/// The field is malformed, or SQLite does not have its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodeError;

impl Encoding {
    /// The value of a field. Text that has to be written is written into `scratch`. Errors: the
    /// field is malformed, or SQLite does not have its value.
    #[inline]
    pub(crate) fn decode<'a>(
        self,
        field: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<SqliteValue<'a>, DecodeError> {
        let value = match self.column_type {
            ColumnType::Text => Some(SqliteValue::Text(field)),
            ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => {
                integer::decode(field)
            }
            ColumnType::Bytea => Some(SqliteValue::Blob(field)),
            ColumnType::Real | ColumnType::Double => real::decode(field),
            _ => self.decode_slow_path(field, scratch),
        };
        value.ok_or(DecodeError)
    }

    #[inline(never)]
    fn decode_slow_path<'a>(
        self,
        field: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<SqliteValue<'a>> {
        scratch.clear();
        types::decode(self, field, scratch)
    }
}

/// Whether a text survives a column of numeric affinity, which turns it into a number: the number's
/// own text is the same. `None` if SQLite keeps the text. With REAL affinity (`as_real`) every
/// number becomes a real; otherwise a whole number becomes an integer.
pub(crate) fn number_returns(text: &[u8], as_real: bool) -> Option<bool> {
    let trimmed = std::str::from_utf8(text).ok()?.trim_matches(|c| " \t\n\x0b\x0c\r".contains(c));
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    // Rust also reads words that SQLite does not: inf, infinity, nan.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if !as_real && let Ok(integer) = trimmed.parse::<i64>() {
        return Some(integer.to_string().as_bytes() == text);
    }
    let real: f64 = trimmed.parse().ok()?;
    // A whole number of 64 bits becomes an integer, whose text has neither point nor exponent.
    let becomes_integer =
        !as_real && real.fract() == 0.0 && real.abs() < 9_223_372_036_854_775_808.0;
    let mut own = Vec::new();
    real::write_text(real, &mut own);
    Some(!becomes_integer && own == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::types::numeric;
    use crate::codec::types::temporal::epoch::Epoch;

    fn decode(encoding: Encoding, field: &[u8]) -> Option<String> {
        let mut scratch = Vec::new();
        encoding.decode(field, &mut scratch).ok().map(|value| match value {
            SqliteValue::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn fields_decode_to_sqlite_s_values() {
        let seconds = |column_type| Encoding::from_epoch(Epoch::Seconds, column_type);
        for (encoding, field, expected) in [
            (ColumnType::SmallInt.into(), &[0xff, 0xfe][..], Some("Integer(-2)")),
            (
                ColumnType::BigInt.into(),
                &i64::MIN.to_be_bytes(),
                Some("Integer(-9223372036854775808)"),
            ),
            (ColumnType::Real.into(), &0.1_f32.to_be_bytes(), Some("Real(0.10000000149011612)")),
            (ColumnType::Double.into(), &f64::NAN.to_be_bytes(), None),
            (ColumnType::Boolean.into(), &[1], Some("Integer(1)")),
            (ColumnType::Jsonb.into(), b"\x01{}", Some("{}")),
            (ColumnType::Date.into(), &[0; 4], Some("2000-01-01")),
            // Infinity.
            (ColumnType::Date.into(), &i32::MAX.to_be_bytes(), None),
            (
                ColumnType::Timestamp.into(),
                &1_i64.to_be_bytes(),
                Some("2000-01-01 00:00:00.000001"),
            ),
            (ColumnType::TimestampTz.into(), &[0; 8], Some("2000-01-01 00:00:00+00:00")),
            (seconds(ColumnType::Timestamp), &[0; 8], Some("Integer(946684800)")),
            (seconds(ColumnType::Timestamp), &500_000_i64.to_be_bytes(), Some("Real(946684800.5)")),
            (seconds(ColumnType::Date), &1_i32.to_be_bytes(), Some("Integer(946771200)")),
        ] {
            assert_eq!(decode(encoding, field).as_deref(), expected, "{encoding} {field:?}");
        }
    }

    #[test]
    fn a_numeric_is_its_digits_or_a_number() {
        for (text, expected) in
            [("1.50", "Real(1.5)"), ("9223372036854775807", "Integer(9223372036854775807)")]
        {
            let mut field = Vec::new();
            numeric::encode_decimal(text.as_bytes(), None, &mut field).unwrap();
            assert_eq!(decode(ColumnType::Numeric(None).into(), &field).as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_a_numbers_own_text_survives_a_column_of_numbers() {
        for text in ["0", "-12", "1.5", "1e300", "9223372036854775807", "1e-7"] {
            assert_eq!(number_returns(text.as_bytes(), false), Some(true), "{text}");
        }
        for text in ["007", "+1", " 1", "1.50", "1e3", "3.0", "9223372036854775808", ".5", "1."] {
            assert_eq!(number_returns(text.as_bytes(), false), Some(false), "{text}");
        }
        for text in ["", "abc", "1x", "nan", "infinity", "0x10", "1 2", "-"] {
            assert_eq!(number_returns(text.as_bytes(), false), None, "{text}");
        }
        assert_eq!(number_returns(b"3.0", true), Some(true));
        assert_eq!(number_returns(b"3", true), Some(false));
    }
}

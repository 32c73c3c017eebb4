//! Decoding: a field of a PostgreSQL tuple as the value that SQLite stores for it.
//!
//! The plan has looked for what has no such value (NaN, infinite dates) before the first row is
//! read, so meeting one here ends the run; nothing is replaced in silence.

use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::epoch::Epoch;
use crate::codec::types::{numeric, temporal, uuid};

/// How the binary form of a field is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldDecoder {
    /// One byte: 0 or 1.
    Boolean,
    /// `int2`, `int4`, `int8`, by their length.
    Integer,
    /// `float4`, `float8`, by their length. A `float4` is widened, which is exact.
    Real,
    /// `numeric`, as an integer or the nearest double.
    NumericNumber,
    /// Text as its bytes: all types whose binary form is text.
    Text,
    /// `jsonb`: a version byte before the text.
    Jsonb,
    /// Bytes.
    Bytea,
    /// Days since 2000.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 2000.
    Timestamp,
    /// The same, in UTC.
    TimestampTz,
    /// A timestamp, with or without zone, as the number of units since an epoch.
    Moment(Epoch),
    /// A date as such a number.
    Day(Epoch),
    /// Sixteen bytes.
    Uuid,
}

/// The field is not of its type, or its value has no equal in SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodeError;

impl FieldDecoder {
    /// The value of a field. Text that has to be written is written into `scratch`.
    ///
    /// # Errors
    /// The field is not of this form, or SQLite has no such value.
    #[inline]
    pub(crate) fn decode<'a>(
        self,
        field: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<SqliteValue<'a>, DecodeError> {
        match self {
            Self::Text => Ok(SqliteValue::Text(field)),
            Self::Integer => integer(field).map(SqliteValue::Integer).ok_or(DecodeError),
            Self::Bytea => Ok(SqliteValue::Blob(field)),
            Self::Real => real(field).map(SqliteValue::Real).ok_or(DecodeError),
            _ => self.decode_slow_path(field, scratch).ok_or(DecodeError),
        }
    }

    fn decode_slow_path<'a>(
        self,
        field: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<SqliteValue<'a>> {
        scratch.clear();
        match self {
            Self::Boolean => match field {
                [byte @ (0 | 1)] => return Some(SqliteValue::Integer(i64::from(*byte))),
                _ => return None,
            },
            Self::NumericNumber => {
                numeric::decode(field, scratch)?;
                return number(scratch);
            }
            Self::Jsonb => return field.strip_prefix(&[1]).map(SqliteValue::Text),
            Self::Date => temporal::format_date(days(field)?, scratch)?,
            Self::Time => temporal::format_time(micros(field)?, scratch)?,
            Self::Timestamp => temporal::format_timestamp(micros(field)?, false, scratch)?,
            Self::TimestampTz => temporal::format_timestamp(micros(field)?, true, scratch)?,
            Self::Moment(epoch) => return Some(count(epoch, micros(field)?)),
            Self::Day(epoch) => {
                return Some(count(epoch, i64::from(days(field)?).checked_mul(temporal::DAY)?));
            }
            Self::Uuid => uuid::format(field.try_into().ok()?, scratch),
            Self::Text | Self::Integer | Self::Real | Self::Bytea => return None,
        }
        Some(SqliteValue::Text(scratch))
    }
}

#[inline]
fn integer(field: &[u8]) -> Option<i64> {
    match *field {
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        _ => None,
    }
}

#[inline]
fn real(field: &[u8]) -> Option<f64> {
    let real = match *field {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    // SQLite would store NULL.
    (!real.is_nan()).then_some(real)
}

fn days(field: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(field.try_into().ok()?))
}

fn micros(field: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field.try_into().ok()?))
}

/// The number that a decimal text is: an integer where it is one of 64 bits, else a double.
fn number(text: &[u8]) -> Option<SqliteValue<'static>> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(integer) = text.parse() {
        return Some(SqliteValue::Integer(integer));
    }
    text.parse().ok().filter(|real: &f64| !real.is_nan()).map(SqliteValue::Real)
}

/// A moment as an integer where that is exact, else as a real.
fn count(epoch: Epoch, micros: i64) -> SqliteValue<'static> {
    let expect_integer = epoch.to_integer(micros);
    match expect_integer
        .filter(|&expect_integer| epoch.from_integer(expect_integer) == Some((micros, true)))
    {
        Some(expect_integer) => SqliteValue::Integer(expect_integer),
        None => SqliteValue::Real(epoch.to_real(micros)),
    }
}

/// What SQLite makes of a text in a column of numeric affinity, if that is a number: whether the
/// number's own text is the same again, so that nothing is lost. `None` where the text stays.
/// With REAL affinity (`as_real`) every number becomes a real, else a whole one an integer.
pub(crate) fn number_returns(text: &[u8], as_real: bool) -> Option<bool> {
    let trimmed = std::str::from_utf8(text).ok()?.trim_matches(|c| " \t\n\x0b\x0c\r".contains(c));
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    // What Rust reads beyond SQLite's numbers are words: inf, infinity, nan.
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
    crate::codec::encode::column_encoder::real_text(real, &mut own);
    Some(!becomes_integer && own == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(wire: FieldDecoder, field: &[u8]) -> Option<String> {
        let mut scratch = Vec::new();
        wire.decode(field, &mut scratch).ok().map(|raw| match raw {
            SqliteValue::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn fields_become_what_sqlite_stores() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(decode(FieldDecoder::Integer, &[0xff, 0xfe]), some("Integer(-2)"));
        assert_eq!(
            decode(FieldDecoder::Integer, &i64::MIN.to_be_bytes()),
            some(&format!("Integer({})", i64::MIN))
        );
        assert_eq!(
            decode(FieldDecoder::Real, &0.1_f32.to_be_bytes()),
            some("Real(0.10000000149011612)")
        );
        assert_eq!(decode(FieldDecoder::Real, &f64::NAN.to_be_bytes()), None);
        assert_eq!(decode(FieldDecoder::Boolean, &[1]), some("Integer(1)"));
        assert_eq!(decode(FieldDecoder::Jsonb, b"\x01{}"), some("{}"));
        assert_eq!(decode(FieldDecoder::Date, &0_i32.to_be_bytes()), some("2000-01-01"));
        assert_eq!(decode(FieldDecoder::Date, &i32::MAX.to_be_bytes()), None, "infinity");
        assert_eq!(
            decode(FieldDecoder::Timestamp, &1_i64.to_be_bytes()),
            some("2000-01-01 00:00:00.000001")
        );
        assert_eq!(
            decode(FieldDecoder::TimestampTz, &0_i64.to_be_bytes()),
            some("2000-01-01 00:00:00+00:00")
        );
        assert_eq!(
            decode(FieldDecoder::Moment(Epoch::Seconds), &0_i64.to_be_bytes()),
            some("Integer(946684800)")
        );
        assert_eq!(
            decode(FieldDecoder::Moment(Epoch::Seconds), &500_000_i64.to_be_bytes()),
            some("Real(946684800.5)")
        );
        assert_eq!(
            decode(FieldDecoder::Day(Epoch::Seconds), &1_i32.to_be_bytes()),
            some("Integer(946771200)")
        );
    }

    #[test]
    fn a_numeric_is_its_digits_or_a_number() {
        let mut field = Vec::new();
        numeric::encode_decimal(b"1.50", None, &mut field).unwrap();
        assert_eq!(decode(FieldDecoder::NumericNumber, &field).as_deref(), Some("Real(1.5)"));
        field.clear();
        numeric::encode_decimal(b"9223372036854775807", None, &mut field).unwrap();
        assert_eq!(
            decode(FieldDecoder::NumericNumber, &field).as_deref(),
            Some("Integer(9223372036854775807)")
        );
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

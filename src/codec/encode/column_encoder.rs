//! Casts: what one column's stored values become as fields of a tuple.
//!
//! A cast says for each value one of three things: it arrives exactly, it arrives converted
//! (what would come back differs in text or storage class, which the plan declares and counts),
//! or it does not fit, with the reason. The profile and the encoder ask the same code, so that
//! what the plan promised is what the copy does.

use crate::codec::sqlite_value::EXACT_IN_DOUBLE;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::epoch::Epoch;
use crate::codec::types::temporal;
use crate::codec::types::{decimal, json, numeric, uuid};
use crate::schema::column_type::ColumnType;
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Write as _;

/// The form in which a column is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Integers 0 and 1, or one of the pairs of words.
    Boolean,
    /// Integers within 16 bits.
    SmallInt,
    /// Integers within 32 bits.
    Integer,
    /// Integers.
    BigInt,
    /// Integers that stand as canonical decimal text in a column of text affinity.
    BigIntText,
    /// Reals that 32 bits hold exactly.
    Real,
    /// Reals, and integers that a double holds exactly.
    Double,
    /// Numbers; reals by their shortest round-trip decimal.
    Numeric,
    /// Numbers of at most `precision` digits, `scale` of them after the point.
    Decimal {
        /// All digits.
        precision: u16,
        /// Digits after the point.
        scale: u16,
    },
    /// UTF-8 text; numbers as their decimal text.
    Text,
    /// UTF-8 text of at most so many characters.
    Varchar(u32),
    /// Blobs; text as its bytes, numbers as their decimal text.
    Bytea,
    /// ISO dates.
    Date,
    /// ISO times.
    Time,
    /// ISO timestamps without a zone.
    Timestamp,
    /// ISO timestamps, each with its zone.
    TimestampTz,
    /// Numbers that count from an epoch.
    Epoch {
        /// The unit and origin.
        unit: Epoch,
        /// What they are sent as.
        to: TemporalType,
    },
    /// UUIDs as text.
    Uuid,
    /// Valid JSON, its text kept.
    Json,
    /// Valid JSON, normalised by the server.
    Jsonb,
}

/// The types that a number counting from an epoch can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum TemporalType {
    Date,
    Timestamp,
    TimestampTz,
}

impl Encoding {
    /// The column type the form is sent to.
    pub(crate) fn column_type(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::SmallInt => ColumnType::SmallInt,
            Self::Integer => ColumnType::Integer,
            Self::BigInt | Self::BigIntText => ColumnType::BigInt,
            Self::Real => ColumnType::Real,
            Self::Double => ColumnType::Double,
            Self::Numeric => ColumnType::Numeric(None),
            Self::Decimal { precision, scale } => ColumnType::Numeric(Some((precision, scale))),
            Self::Text => ColumnType::Text,
            Self::Varchar(length) => ColumnType::Varchar(length),
            Self::Bytea => ColumnType::Bytea,
            Self::Date | Self::Epoch { to: TemporalType::Date, .. } => ColumnType::Date,
            Self::Time => ColumnType::Time,
            Self::Timestamp | Self::Epoch { to: TemporalType::Timestamp, .. } => {
                ColumnType::Timestamp
            }
            Self::TimestampTz | Self::Epoch { to: TemporalType::TimestampTz, .. } => {
                ColumnType::TimestampTz
            }
            Self::Uuid => ColumnType::Uuid,
            Self::Json => ColumnType::Json,
            Self::Jsonb => ColumnType::Jsonb,
        }
    }

    /// The form in which values are sent to a column of type `to` when nothing else is said.
    pub(crate) fn of(to: &ColumnType) -> Self {
        match *to {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::SmallInt => Self::SmallInt,
            ColumnType::Integer => Self::Integer,
            ColumnType::BigInt => Self::BigInt,
            ColumnType::Real => Self::Real,
            ColumnType::Double => Self::Double,
            ColumnType::Numeric(None) => Self::Numeric,
            ColumnType::Numeric(Some((precision, scale))) => Self::Decimal { precision, scale },
            ColumnType::Text => Self::Text,
            ColumnType::Varchar(length) => Self::Varchar(length),
            ColumnType::Bytea => Self::Bytea,
            ColumnType::Date => Self::Date,
            ColumnType::Time => Self::Time,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::TimestampTz => Self::TimestampTz,
            ColumnType::Uuid => Self::Uuid,
            ColumnType::Json => Self::Json,
            ColumnType::Jsonb => Self::Jsonb,
        }
    }
}

/// A form, and what the source column does to values that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEncoder {
    /// The form.
    pub form: Encoding,
    /// The source column's affinity turns the text of a number, or a double without fraction,
    /// back into the number it was. Where it does not, such a value counts as converted.
    pub affinity_restores_numbers: bool,
}

/// A value that fits: exactly, or converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// What comes back is what was stored.
    Exact,
    /// What comes back differs in text or storage class.
    Converted,
}

/// Why a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Misfit {
    NulInText,
    InvalidText,
    TooLarge,
    NotInteger,
    OutOfRange,
    NotNumber,
    NotExactAsDouble,
    TooManyDigits,
    NotText,
    TooLong,
    NotBoolean,
    NotDate,
    NotTime,
    NotTimestamp,
    ZoneMissing,
    ZonePresent,
    NotUuid,
    NotJson,
    JsonNul,
    JsonTooDeep,
    RowTooWide,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NulInText => "text with a NUL character",
            Self::InvalidText => "text that is not valid UTF-8",
            Self::TooLarge => "a value over 1 GB",
            Self::NotInteger => "not an integer",
            Self::OutOfRange => "out of the type's range",
            Self::NotNumber => "not a number",
            Self::NotExactAsDouble => {
                "an integer beyond 2^53, which a double does not hold exactly"
            }
            Self::TooManyDigits => "more digits than the type holds",
            Self::NotText => "a blob, which is no text",
            Self::TooLong => "longer than the type allows",
            Self::NotBoolean => "neither 0 nor 1",
            Self::NotDate => "not an ISO date",
            Self::NotTime => "not an ISO time",
            Self::NotTimestamp => "not an ISO timestamp",
            Self::ZoneMissing => "a timestamp without a zone",
            Self::ZonePresent => "a timestamp with a zone",
            Self::NotUuid => "not a UUID",
            Self::NotJson => "not valid JSON",
            Self::JsonNul => "JSON with an escaped NUL character",
            Self::JsonTooDeep => "JSON nested deeper than 1,000 levels",
            Self::RowTooWide => "a row that does not fit a page of the server",
        })
    }
}

/// The largest field the server takes. Its limit on a value is 1 GB with the length word, and a
/// row's message has to stay below that as well.
/// Source: `MaxAllocSize` in PostgreSQL's memutils.h.
pub(crate) const MAX_FIELD: usize = 0x3fff_ffff - 64;

/// JSON nested deeper than this is sent as text: the server's parser is recursive and refuses
/// deep nesting by its stack depth limit, at query time if not before.
pub(crate) const MAX_JSON: u32 = 1_000;

/// Text must be UTF-8 without NUL to be text in PostgreSQL.
#[inline(always)]
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), Misfit> {
    // Most text is short and plain ASCII: a look at each eight bytes settles it.
    if is_plain(bytes) && bytes.len() <= MAX_FIELD { Ok(()) } else { check_any_text(bytes) }
}

/// ASCII without NUL.
#[inline(always)]
fn is_plain(bytes: &[u8]) -> bool {
    // A byte's highest bit is set in it, or in what is one less than it, if it is not plain. That
    // a byte of 0 borrows from its neighbour does not matter: it has given itself away.
    let odd = |word: u64| word | word.wrapping_sub(0x0101_0101_0101_0101);
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | odd(u64::from_be_bytes(*word)));
    // The last eight bytes once more, or what there is of them.
    let last = match bytes.last_chunk::<8>() {
        Some(last) => odd(u64::from_be_bytes(*last)),
        None => rest.iter().fold(0, |found, &byte| {
            found | u64::from(byte | byte.wrapping_sub(1)).wrapping_mul(0x0101_0101_0101_0101)
        }),
    };
    (found | last) & 0x8080_8080_8080_8080 == 0
}

#[inline(never)]
fn check_any_text(bytes: &[u8]) -> Result<(), Misfit> {
    if memchr::memchr(0, bytes).is_some() {
        return Err(Misfit::NulInText);
    }
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(Misfit::InvalidText);
    }
    if bytes.len() > MAX_FIELD {
        return Err(Misfit::TooLarge);
    }
    Ok(())
}

/// The words taken for booleans: the true and the false one of each pair.
pub(crate) const BOOLEAN_WORDS: [(&[u8], &[u8]); 4] =
    [(b"t", b"f"), (b"true", b"false"), (b"yes", b"no"), (b"on", b"off")];

/// A text's place among [`BOOLEAN_WORDS`] and its value.
pub(crate) fn boolean_word(text: &[u8]) -> Option<(usize, bool)> {
    BOOLEAN_WORDS.iter().enumerate().find_map(|(pair, (yes, no))| {
        if text.eq_ignore_ascii_case(yes) {
            Some((pair, true))
        } else if text.eq_ignore_ascii_case(no) {
            Some((pair, false))
        } else {
            None
        }
    })
}

/// Whether a JSON text can go into a `json` column.
pub(crate) fn check_json(text: &[u8]) -> Result<json::Facts, Misfit> {
    check_text(text)?;
    let facts = json::validate(text).ok_or(Misfit::NotJson)?;
    if facts.nul_escape {
        return Err(Misfit::JsonNul);
    }
    if facts.depth > MAX_JSON {
        return Err(Misfit::JsonTooDeep);
    }
    Ok(facts)
}

/// The decimal text of a double: its shortest round-trip decimal, with a point or an exponent so
/// that it reads as a real again. Infinity is written as a number too large to be finite, which
/// is how SQLite itself writes it.
pub(crate) fn real_text(real: f64, out: &mut Vec<u8>) {
    if real.is_infinite() {
        out.extend_from_slice(if real > 0.0 { b"9e999" } else { b"-9e999" });
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{real:?}");
    }
}

impl ColumnEncoder {
    /// Appends `raw` as one field: its length and its bytes.
    ///
    /// # Errors
    /// The reason, where the value does not fit. What was appended then is to be thrown away.
    #[inline(always)]
    pub(crate) fn encode(
        &self,
        raw: SqliteValue<'_>,
        out: &mut BytesMut,
    ) -> Result<Fidelity, Misfit> {
        match (self.form, raw) {
            (_, SqliteValue::Null) => {
                out.extend_from_slice(&[0xff; 4]);
                Ok(Fidelity::Exact)
            }
            (Encoding::BigInt, SqliteValue::Integer(integer)) => {
                put_i64_field(out, integer.to_be_bytes());
                Ok(Fidelity::Exact)
            }
            (Encoding::Text, SqliteValue::Text(text)) => {
                check_text(text)?;
                put_bytes(out, text);
                Ok(Fidelity::Exact)
            }
            (Encoding::Double, SqliteValue::Real(real)) => {
                put_i64_field(out, real.to_bits().to_be_bytes());
                Ok(Fidelity::Exact)
            }
            (Encoding::Bytea, SqliteValue::Blob(blob)) => {
                if blob.len() > MAX_FIELD {
                    return Err(Misfit::TooLarge);
                }
                put_bytes(out, blob);
                Ok(Fidelity::Exact)
            }
            _ => self.encode_slow_path(raw, out),
        }
    }

    /// All that the short list above does not settle, out of the way of the loop that it is in.
    #[inline(never)]
    fn encode_slow_path(
        &self,
        raw: SqliteValue<'_>,
        out: &mut BytesMut,
    ) -> Result<Fidelity, Misfit> {
        match self.form {
            Encoding::Boolean => encode_boolean(raw, out),
            Encoding::SmallInt => {
                let integer = expect_integer(raw)?;
                put_fixed(
                    out,
                    i16::try_from(integer).map_err(|_| Misfit::OutOfRange)?.to_be_bytes(),
                );
                Ok(Fidelity::Exact)
            }
            Encoding::Integer => {
                let integer = expect_integer(raw)?;
                put_fixed(
                    out,
                    i32::try_from(integer).map_err(|_| Misfit::OutOfRange)?.to_be_bytes(),
                );
                Ok(Fidelity::Exact)
            }
            Encoding::BigInt => expect_integer(raw).map(|_| Fidelity::Exact),
            Encoding::BigIntText => {
                let SqliteValue::Text(text) = raw else { return Err(Misfit::NotInteger) };
                put_fixed(out, canonical_integer(text).ok_or(Misfit::NotInteger)?.to_be_bytes());
                Ok(Fidelity::Exact)
            }
            Encoding::Real => match raw {
                SqliteValue::Real(real) => {
                    let short = real as f32;
                    if f64::from(short).to_bits() != real.to_bits() {
                        return Err(Misfit::TooManyDigits);
                    }
                    put_fixed(out, short.to_bits().to_be_bytes());
                    Ok(Fidelity::Exact)
                }
                SqliteValue::Integer(integer) if integer.unsigned_abs() <= 1 << 24 => {
                    put_fixed(out, (integer as f32).to_bits().to_be_bytes());
                    Ok(self.number())
                }
                _ => Err(Misfit::NotNumber),
            },
            Encoding::Double => match raw {
                SqliteValue::Integer(integer)
                    if integer.unsigned_abs() <= EXACT_IN_DOUBLE.unsigned_abs() =>
                {
                    put_fixed(out, (integer as f64).to_bits().to_be_bytes());
                    Ok(self.number())
                }
                SqliteValue::Integer(_) => Err(Misfit::NotExactAsDouble),
                _ => Err(Misfit::NotNumber),
            },
            Encoding::Numeric => self.encode_numeric(raw, None, out),
            Encoding::Decimal { precision, scale } => {
                self.encode_numeric(raw, Some((precision, scale)), out)
            }
            Encoding::Text => match raw {
                SqliteValue::Blob(_) => Err(Misfit::NotText),
                _ => self.encode_as_text(raw, out),
            },
            Encoding::Varchar(length) => {
                let SqliteValue::Text(text) = raw else { return Err(Misfit::NotText) };
                check_text(text)?;
                if characters(text) > u64::from(length) {
                    return Err(Misfit::TooLong);
                }
                put_bytes(out, text);
                Ok(Fidelity::Exact)
            }
            Encoding::Bytea => match raw {
                SqliteValue::Text(text) if text.len() > MAX_FIELD => Err(Misfit::TooLarge),
                SqliteValue::Text(text) => {
                    put_bytes(out, text);
                    Ok(Fidelity::Converted)
                }
                _ => self.encode_as_text(raw, out).map(|_| Fidelity::Converted),
            },
            Encoding::Date
            | Encoding::Time
            | Encoding::Timestamp
            | Encoding::TimestampTz
            | Encoding::Epoch { .. } => encode_temporal(self.form, raw, out),
            Encoding::Uuid => {
                let SqliteValue::Text(text) = raw else { return Err(Misfit::NotUuid) };
                let (bytes, canonical) = uuid::parse(text).ok_or(Misfit::NotUuid)?;
                put_fixed(out, bytes);
                Ok(if canonical { Fidelity::Exact } else { Fidelity::Converted })
            }
            Encoding::Json => self.encode_json(raw, out),
            Encoding::Jsonb => self.encode_jsonb(raw, out),
        }
    }

    /// The fit of a number that changes its type on the way.
    fn number(&self) -> Fidelity {
        if self.affinity_restores_numbers { Fidelity::Exact } else { Fidelity::Converted }
    }

    fn encode_as_text(&self, raw: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
        let mut text = Vec::with_capacity(32);
        match raw {
            SqliteValue::Integer(integer) => _ = write!(text, "{integer}"),
            SqliteValue::Real(real) => real_text(real, &mut text),
            _ => return Err(Misfit::NotText),
        }
        put_bytes(out, &text);
        Ok(self.number())
    }

    fn encode_numeric(
        &self,
        raw: SqliteValue<'_>,
        limit: Option<(u16, u16)>,
        out: &mut BytesMut,
    ) -> Result<Fidelity, Misfit> {
        let scale = limit.map(|(_, scale)| scale);
        let mut field = Vec::with_capacity(32);
        let fit = match raw {
            SqliteValue::Integer(integer) => {
                check_digits(decimal::digits_of_integer(integer), limit)?;
                numeric::encode_integer(integer, scale, &mut field);
                Fidelity::Exact
            }
            SqliteValue::Real(real) => {
                match decimal::digits_of_real(real) {
                    Some(digits) => check_digits(digits, limit)?,
                    // Only infinities have no digits, and only plain `numeric` holds them.
                    None if limit.is_some() => return Err(Misfit::OutOfRange),
                    None => {}
                }
                numeric::encode_real(real, scale, &mut field).ok_or(Misfit::TooManyDigits)?;
                // 5.0 would come back as 5, and -0.0 as 0, unless the column makes them so itself.
                if !self.affinity_restores_numbers && real.fract() == 0.0 {
                    Fidelity::Converted
                } else {
                    Fidelity::Exact
                }
            }
            _ => return Err(Misfit::NotNumber),
        };
        put_bytes(out, &field);
        Ok(fit)
    }

    fn encode_json(&self, raw: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
        match raw {
            SqliteValue::Text(text) => {
                check_json(text)?;
                put_bytes(out, text);
                Ok(Fidelity::Exact)
            }
            SqliteValue::Integer(_) => self.encode_as_text(raw, out),
            SqliteValue::Real(real) if real.is_finite() => self.encode_as_text(raw, out),
            _ => Err(Misfit::NotJson),
        }
    }

    /// `jsonb` is sent as a version byte and the text; the server makes its own form of it.
    fn encode_jsonb(&self, raw: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
        let mut number = Vec::new();
        let text = match raw {
            SqliteValue::Text(text) => {
                if check_json(text)?.bad_surrogates {
                    return Err(Misfit::NotJson);
                }
                text
            }
            SqliteValue::Integer(integer) => {
                let _ = write!(number, "{integer}");
                &number
            }
            SqliteValue::Real(real) if real.is_finite() => {
                real_text(real, &mut number);
                &number
            }
            _ => return Err(Misfit::NotJson),
        };
        out.reserve(5 + text.len());
        out.put_i32(text.len() as i32 + 1);
        out.put_u8(1);
        out.put_slice(text);
        Ok(Fidelity::Converted)
    }
}

#[inline]
fn put_fixed<const N: usize>(out: &mut BytesMut, bytes: [u8; N]) {
    out.reserve(4 + N);
    out.put_i32(N as i32);
    out.put_slice(&bytes);
}

#[inline]
fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The commonest field, in one append.
#[inline]
fn put_i64_field(out: &mut BytesMut, [a, b, c, d, e, f, g, h]: [u8; 8]) {
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

fn expect_integer(raw: SqliteValue<'_>) -> Result<i64, Misfit> {
    match raw {
        SqliteValue::Integer(integer) => Ok(integer),
        _ => Err(Misfit::NotInteger),
    }
}

/// Characters of text that is known to be UTF-8.
pub(crate) fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}

fn check_digits(digits: decimal::Digits, limit: Option<(u16, u16)>) -> Result<(), Misfit> {
    match limit {
        Some((precision, scale))
            if digits.fraction > u32::from(scale)
                || digits.integer > u32::from(precision.saturating_sub(scale)) =>
        {
            Err(Misfit::TooManyDigits)
        }
        _ => Ok(()),
    }
}

fn encode_boolean(raw: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    let (truth, fit) = match raw {
        SqliteValue::Integer(0) => (false, Fidelity::Exact),
        SqliteValue::Integer(1) => (true, Fidelity::Exact),
        SqliteValue::Text(text) => {
            (boolean_word(text).ok_or(Misfit::NotBoolean)?.1, Fidelity::Converted)
        }
        _ => return Err(Misfit::NotBoolean),
    };
    put_fixed(out, [u8::from(truth)]);
    Ok(fit)
}

/// A point in time, in microseconds since 2000, as a field. As a date it is exact at midnight only.
fn put_point(
    point: Option<(i64, bool)>,
    to: TemporalType,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    const DAY: i64 = 86_400_000_000;
    let (micros, mut exact) = point.ok_or(Misfit::OutOfRange)?;
    if to == TemporalType::Date {
        exact &= micros.rem_euclid(DAY) == 0;
        let days = i32::try_from(micros.div_euclid(DAY)).map_err(|_| Misfit::OutOfRange)?;
        put_fixed(out, days.to_be_bytes());
    } else {
        put_fixed(out, micros.to_be_bytes());
    }
    Ok(if exact { Fidelity::Exact } else { Fidelity::Converted })
}

/// The integer whose decimal text this is, if it is written as SQLite itself would write it.
fn canonical_integer(text: &[u8]) -> Option<i64> {
    let integer: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (integer.to_string().as_bytes() == text).then_some(integer)
}

fn encode_temporal(
    form: Encoding,
    raw: SqliteValue<'_>,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let fit = |canonical: bool| if canonical { Fidelity::Exact } else { Fidelity::Converted };
    match (form, raw) {
        (Encoding::Epoch { unit, to }, SqliteValue::Integer(integer)) => {
            put_point(unit.from_integer(integer), to, out)
        }
        (Encoding::Epoch { unit, to }, SqliteValue::Real(real)) => {
            put_point(unit.from_real(real), to, out)
        }
        (Encoding::Epoch { .. }, _) => Err(Misfit::NotNumber),
        (Encoding::Date, SqliteValue::Text(text)) => {
            put_fixed(out, temporal::parse_date(text).ok_or(Misfit::NotDate)?.to_be_bytes());
            Ok(Fidelity::Exact)
        }
        (Encoding::Time, SqliteValue::Text(text)) => {
            let time = temporal::parse_time(text).ok_or(Misfit::NotTime)?;
            put_fixed(out, time.micros.to_be_bytes());
            Ok(fit(time.canonical))
        }
        (Encoding::Timestamp | Encoding::TimestampTz, SqliteValue::Text(text)) => {
            let stamp = temporal::parse_timestamp(text).ok_or(Misfit::NotTimestamp)?;
            match (form, stamp.zoned) {
                (Encoding::Timestamp, true) => return Err(Misfit::ZonePresent),
                (Encoding::TimestampTz, false) => return Err(Misfit::ZoneMissing),
                _ => {}
            }
            put_fixed(out, stamp.micros.to_be_bytes());
            Ok(fit(stamp.canonical))
        }
        (Encoding::Date, _) => Err(Misfit::NotDate),
        (Encoding::Time, _) => Err(Misfit::NotTime),
        _ => Err(Misfit::NotTimestamp),
    }
}

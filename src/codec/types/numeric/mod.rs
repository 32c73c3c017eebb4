//! `numeric`, and PostgreSQL's binary form of a decimal number.
//!
//! The form has four big-endian words (the count of groups, the weight, the sign, the display
//! scale), then groups of four decimal digits, each a word below 10,000. The value is the sum of
//! `group[i] * 10000^(weight - i)`; the display scale is the number of digits that are printed
//! after the point. This is what `numeric_send` writes and `numeric_recv` reads
//! (`src/backend/utils/adt/numeric.c`).

pub(crate) mod decimal;

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_bytes;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::numeric::decimal::{Decimal, Digits, MAX_FRACTION_DIGITS};
use bytes::BytesMut;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// The display scale that `numeric_send` gives an infinity: a bit of its sign, read as scale.
const INFINITY_SCALE: u16 = 0x20;

/// Appends a number as a field of `numeric`, or of `numeric(precision, scale)`. A real is its
/// shortest round-trip decimal.
pub(crate) fn encode(
    value: SqliteValue<'_>,
    limits: Option<(u16, u16)>,
    restores_numbers: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let scale = limits.map(|(_, scale)| scale);
    let mut field = Vec::with_capacity(32);
    let exact = match value {
        SqliteValue::Integer(integer) => {
            check_digits(decimal::digits_of_integer(integer), limits)?;
            encode_integer(integer, scale, &mut field);
            true
        }
        SqliteValue::Real(real) => {
            match decimal::digits_of_real(real) {
                Some(digits) => check_digits(digits, limits)?,
                // Only infinities have no digits, and only plain `numeric` holds them.
                None if limits.is_some() => return Err(Misfit::OutOfRange),
                None => {}
            }
            encode_real(real, scale, &mut field).ok_or(Misfit::TooManyDigits)?;
            // 5.0 would come back as 5, and -0.0 as 0, unless the column's affinity does the same.
            restores_numbers || real.fract() != 0.0
        }
        _ => return Err(Misfit::NotNumber),
    };
    put_bytes(out, &field);
    Ok(Fidelity::exact_if(exact))
}

fn check_digits(digits: Digits, limits: Option<(u16, u16)>) -> Result<(), Misfit> {
    match limits {
        Some((precision, scale))
            if digits.fraction > u32::from(scale)
                || digits.integer > u32::from(precision.saturating_sub(scale)) =>
        {
            Err(Misfit::TooManyDigits)
        }
        _ => Ok(()),
    }
}

/// The number of a field: an integer if it fits 64 bits, otherwise the nearest double.
pub(crate) fn decode_number(field: &[u8], scratch: &mut Vec<u8>) -> Option<SqliteValue<'static>> {
    decode(field, scratch)?;
    let text = std::str::from_utf8(scratch).ok()?;
    if let Ok(integer) = text.parse() {
        return Some(SqliteValue::Integer(integer));
    }
    text.parse().ok().filter(|real: &f64| !real.is_nan()).map(SqliteValue::Real)
}

/// Appends an integer. `scale` is the scale of a `numeric(p,s)` column, which the server gives
/// to every value in it; without one the display scale is 0.
pub fn encode_integer(value: i64, scale: Option<u16>, out: &mut Vec<u8>) {
    let mut groups = [0; 5];
    let (mut first, mut rest) = (groups.len(), value.unsigned_abs());
    while rest > 0 {
        first -= 1;
        groups[first] = (rest % 10_000) as u16;
        rest /= 10_000;
    }
    let weight = (groups.len() - first).saturating_sub(1) as u16;
    let zeros = groups[first..].iter().rev().take_while(|group| **group == 0).count();
    let groups = &groups[first..groups.len() - zeros];
    let sign = if value < 0 { NEGATIVE } else { POSITIVE };
    write_header([groups.len() as u16, weight, sign, scale.unwrap_or(0)], out);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Appends a real as its shortest round-trip decimal. Without a `scale` the display
/// scale is that decimal's count of digits after the point. `None`, and nothing written, where
/// a given `scale` has too few digits for it or it is an infinity, which no `numeric(p,s)`
/// holds. A numeric has no negative zero: the sign of -0.0 is lost.
pub fn encode_real(value: f64, scale: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let decimal = Decimal::parse(buffer.format_finite(value).as_bytes())?;
        // Not the scale as written: the text of 1 is "1.0".
        let shown = decimal.digits()?.fraction;
        return write(&decimal, scale.unwrap_or(shown as u16), out);
    }
    if value.is_nan() {
        write_header([0, 0, NAN, 0], out);
    } else if scale.is_some() {
        return None;
    } else {
        let sign = if value > 0.0 { INFINITY } else { MINUS_INFINITY };
        write_header([0, 0, sign, INFINITY_SCALE], out);
    }
    Some(())
}

/// Appends a decimal text, `[+-]digits[.digits][e[+-]digits]`. Without a `scale` the display
/// scale is the number of digits after the point in the text. `None`, and nothing written, for
/// another text, for more digits than PostgreSQL holds, and for more digits after the point than
/// the given `scale` has.
pub fn encode_decimal(text: &[u8], scale: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
    let decimal = Decimal::parse(text)?;
    let scale = match scale {
        Some(scale) => scale,
        None => decimal.own_scale()?,
    };
    write(&decimal, scale, out)
}

/// Appends the decimal text of a binary numeric as PostgreSQL prints it: as many digits after
/// the point as the display scale says, `NaN`, `Infinity`, `-Infinity`. `None`, and nothing
/// written, for a malformed numeric.
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let parts = NumericParts::parse(bytes)?;
    match parts.sign {
        NAN => out.extend_from_slice(b"NaN"),
        INFINITY => out.extend_from_slice(b"Infinity"),
        MINUS_INFINITY => out.extend_from_slice(b"-Infinity"),
        sign => {
            if sign == NEGATIVE {
                out.push(b'-');
            }
            write_decimal(&parts, out);
        }
    }
    Some(())
}

/// Appends the one form that all spellings of a number share, for hashing: no zero groups at
/// either end, and the smallest display scale that shows every digit. 1, 1.0 and 1.00 give the same
/// bytes. `None`, and nothing written, if [`decode`] would refuse.
pub fn canonical(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let parts = NumericParts::parse(bytes)?;
    let count = (parts.groups.len() / 2) as u16;
    write_header([count, parts.weight as u16, parts.sign, parts.needed_scale()], out);
    out.extend_from_slice(parts.groups);
    Some(())
}

/// Appends the binary form of a decimal with a display scale; `None`, and nothing written, where that
/// would hide digits or PostgreSQL does not hold them.
fn write(decimal: &Decimal<'_>, scale: u16, out: &mut Vec<u8>) -> Option<()> {
    if decimal.digits()?.fraction > u32::from(scale) {
        return None;
    }
    if decimal.is_zero() {
        write_header([0, 0, POSITIVE, scale], out);
        return Some(());
    }
    let weight = (decimal.point - 1).div_euclid(4);
    // The first group lacks as many leading digits as the point is off a multiple of four.
    let mut filled = ((weight + 1) * 4 - decimal.point) as usize;
    let significant = decimal.integer.len() + decimal.fraction.len();
    let groups = (filled + significant).div_ceil(4);
    let sign = if decimal.negative { NEGATIVE } else { POSITIVE };
    write_header([groups as u16, weight as u16, sign, scale], out);
    let mut group = 0_u16;
    for part in [decimal.integer, decimal.fraction] {
        for digit in part {
            group = group * 10 + u16::from(digit - b'0');
            filled += 1;
            if filled == 4 {
                out.extend_from_slice(&group.to_be_bytes());
                (group, filled) = (0, 0);
            }
        }
    }
    if filled > 0 {
        group *= [1, 1_000, 100, 10][filled];
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(())
}

fn write_header(words: [u16; 4], out: &mut Vec<u8>) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// The parts of a binary numeric.
struct NumericParts<'a> {
    /// The groups, two bytes each, without zero groups at either end.
    groups: &'a [u8],
    /// The weight of the first group; 0 if there are no groups.
    weight: i16,
    sign: u16,
    /// The display scale; 0 for infinities and NaN.
    scale: u16,
}

impl<'a> NumericParts<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [n1, n2, w1, w2, s1, s2, d1, d2, groups @ ..] = bytes else { return None };
        let count = usize::from(u16::from_be_bytes([*n1, *n2]));
        let weight = i16::from_be_bytes([*w1, *w2]);
        let sign = u16::from_be_bytes([*s1, *s2]);
        let scale = u16::from_be_bytes([*d1, *d2]);
        if groups.len() != count * 2 || i64::from(scale) > MAX_FRACTION_DIGITS {
            return None;
        }
        match sign {
            POSITIVE | NEGATIVE => {}
            NAN | INFINITY | MINUS_INFINITY if count == 0 => {
                return Some(Self { groups, weight: 0, sign, scale: 0 });
            }
            _ => return None,
        }
        if words(groups).any(|group| group > 9_999) {
            return None;
        }
        let leading = words(groups).take_while(|group| *group == 0).count();
        let groups = &groups[leading * 2..];
        let trailing = words(groups).rev().take_while(|group| *group == 0).count();
        let groups = &groups[..groups.len() - trailing * 2];
        let (weight, sign) = match groups {
            [] => (0, POSITIVE),
            _ => (i16::try_from(i64::from(weight) - leading as i64).ok()?, sign),
        };
        let parts = Self { groups, weight, sign, scale };
        (parts.needed_scale() <= scale).then_some(parts)
    }

    /// The digits after the point that show the whole value; `u16::MAX`, above all scales, if the
    /// weight is too low for any.
    fn needed_scale(&self) -> u16 {
        let Some(last) = words(self.groups).next_back() else { return 0 };
        let after_point = (self.groups.len() / 2) as i64 - 1 - i64::from(self.weight);
        let zeros = (1..4).take_while(|power| last % 10_u16.pow(*power) == 0).count() as i64;
        u16::try_from((after_point * 4 - zeros).max(0)).unwrap_or(u16::MAX)
    }
}

/// The big-endian words of a slice.
fn words(bytes: &[u8]) -> impl DoubleEndedIterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]))
}

/// Writes the magnitude of a finite numeric.
fn write_decimal(parts: &NumericParts<'_>, out: &mut Vec<u8>) {
    let mut groups = words(parts.groups);
    let before = i64::from(parts.weight) + 1;
    if before > 0 {
        // The first group is not zero; that of zero itself is missing.
        let first = digits_of(groups.next().unwrap_or(0));
        let zeros = first[..3].iter().take_while(|digit| **digit == b'0').count();
        out.extend_from_slice(&first[zeros..]);
        for _ in 1..before {
            out.extend_from_slice(&digits_of(groups.next().unwrap_or(0)));
        }
    } else {
        out.push(b'0');
    }
    if parts.scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(parts.scale);
        // Groups of zeros that a low weight leaves out; the scale reaches beyond them.
        out.resize(out.len() + (-before).max(0) as usize * 4, b'0');
        while out.len() < end {
            out.extend_from_slice(&digits_of(groups.next().unwrap_or(0)));
        }
        out.truncate(end);
    }
}

/// The four digits of a group.
fn digits_of(group: u16) -> [u8; 4] {
    [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests;

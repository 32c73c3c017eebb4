//! Decimal numbers as text: their parts and their digits.
//!
//! The text is `[+-]digits[.digits][e[+-]digits]`, within the limits of PostgreSQL's numeric.

/// The maximum digits before the point in PostgreSQL.
const MAX_INTEGER_DIGITS: i64 = 131_072;
/// The maximum digits after the point in PostgreSQL.
pub(crate) const MAX_FRACTION_DIGITS: i64 = 16_383;
/// The greatest exponent that `numeric_in` reads (exclusive): half of what an `int` holds.
const EXPONENT_END: i64 = i32::MAX as i64 / 2;

/// The digits of a number on either side of the point, without leading and trailing zeros. It fits
/// `numeric(p,s)` if `integer <= p - s` and `fraction <= s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digits {
    /// Digits before the point; 0 for a number below one.
    pub(crate) integer: u32,
    /// Digits after the point.
    pub(crate) fraction: u32,
}

pub(crate) fn digits_of_integer(value: i64) -> Digits {
    Digits { integer: value.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1), fraction: 0 }
}

/// The digits of a real's shortest round-trip decimal; `None` for infinities and NaN.
pub(crate) fn digits_of_real(value: f64) -> Option<Digits> {
    if !value.is_finite() {
        return None;
    }
    Decimal::parse(zmij::Buffer::new().format_finite(value).as_bytes())?.digits()
}

/// PostgreSQL's numeric holds the decimal text, zeros at its end included.
pub(crate) fn holds(text: &[u8]) -> bool {
    Decimal::parse(text)
        .is_some_and(|decimal| decimal.digits().is_some() && decimal.own_scale().is_some())
}

/// The parts of a decimal text.
pub(crate) struct Decimal<'a> {
    pub(crate) negative: bool,
    /// Digits before the written point, and after it. Together they neither start nor end with
    /// a zero; both are empty for zero.
    pub(crate) integer: &'a [u8],
    pub(crate) fraction: &'a [u8],
    /// The position of the true point, counted in digits from the first digit: 2 for 12.3, -1 for
    /// 0.012.
    pub(crate) point: i64,
    /// The digits after the true point as written, zeros included.
    written_scale: i64,
}

impl<'a> Decimal<'a> {
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mut integer, rest) = take_digits(text)?;
        let (mut fraction, rest): (&[u8], _) = match rest {
            [b'.', rest @ ..] => take_digits(rest)?,
            _ => (&[], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => read_exponent(rest)?,
            _ => return None,
        };
        let written_scale = (fraction.len() as i64 - exponent).max(0);
        integer = trim_start(integer);
        fraction = trim_end(fraction);
        let mut point = exponent + integer.len() as i64;
        if integer.is_empty() {
            let significant = trim_start(fraction);
            point -= (fraction.len() - significant.len()) as i64;
            fraction = significant;
        }
        if fraction.is_empty() {
            integer = trim_end(integer);
        }
        Some(Self { negative, integer, fraction, point, written_scale })
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.integer.is_empty() && self.fraction.is_empty()
    }

    /// The display scale of the decimal as written; `None` if PostgreSQL has no such scale.
    pub(crate) fn own_scale(&self) -> Option<u16> {
        (self.written_scale <= MAX_FRACTION_DIGITS).then_some(self.written_scale as u16)
    }

    /// The digits on either side of the true point; `None` if PostgreSQL does not hold them.
    pub(crate) fn digits(&self) -> Option<Digits> {
        if self.is_zero() {
            return Some(Digits::default());
        }
        let significant = (self.integer.len() + self.fraction.len()) as i64;
        let integer = self.point.max(0);
        let fraction = (significant - self.point).max(0);
        (integer <= MAX_INTEGER_DIGITS && fraction <= MAX_FRACTION_DIGITS)
            .then_some(Digits { integer: integer as u32, fraction: fraction as u32 })
    }
}

/// Takes digits, at least one, off the front of `text`.
fn take_digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

fn read_exponent(text: &[u8]) -> Option<i64> {
    let exponent: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (-EXPONENT_END < exponent && exponent < EXPONENT_END).then_some(exponent)
}

fn trim_start(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    &digits[..digits.len() - zeros]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_on_either_side_of_the_point() {
        for (text, integer, fraction) in [
            ("0", 0, 0),
            ("0.00", 0, 0),
            ("1", 1, 0),
            ("-100", 3, 0),
            ("00120.0450", 3, 3),
            ("0.05", 0, 2),
            ("1e-3", 0, 3),
            ("12.5e1", 3, 0),
            ("12.5e5", 7, 0),
        ] {
            assert_eq!(
                Decimal::parse(text.as_bytes()).and_then(|it| it.digits()),
                Some(Digits { integer, fraction })
            );
        }
        assert_eq!(digits_of_real(-19.99), Some(Digits { integer: 2, fraction: 2 }));
        assert_eq!(digits_of_real(1e300), Some(Digits { integer: 301, fraction: 0 }));
        assert_eq!(digits_of_integer(-12), Digits { integer: 2, fraction: 0 });
    }

    #[test]
    fn the_digits_of_an_integer_are_those_of_its_text() {
        for value in [0, 1, -1, 9, 10, -99, 100, 999_999, i64::MIN, i64::MAX] {
            let text = value.to_string();
            let digits = Decimal::parse(text.as_bytes()).and_then(|it| it.digits());
            assert_eq!(Some(digits_of_integer(value)), digits, "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(digits_of_real(value), None);
        }
    }
}

//! Constants: numbers that mean the same in both databases, and text in a type's one canonical
//! spelling.

use crate::schema::column_type::ColumnType;

/// A constant as SQLite sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Integer(i64),
    /// A real, as written.
    Real(String),
    Text(String),
    Blob(Vec<u8>),
}

/// The largest magnitude up to which every integer is a double: 2^53.
pub(crate) const EXACT_INTEGER: u64 = 1 << 53;

impl Constant {
    /// Reads a number literal: an integer if it is written as one and has 64 bits, else a real.
    pub(crate) fn number(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Real(text.to_owned()), Self::Integer)
    }

    /// The number with the other sign.
    pub(crate) fn negated(self) -> Option<Self> {
        match self {
            Self::Integer(n) => n.checked_neg().map(Self::Integer),
            // 2^63 is a real by itself, and its negative the smallest integer.
            Self::Real(text) if text == "9223372036854775808" => Some(Self::Integer(i64::MIN)),
            Self::Real(text) => Some(Self::Real(match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            })),
            Self::Text(_) | Self::Blob(_) => None,
        }
    }

    /// The number means the same as a double and as a decimal: an integer up to 2^53, or a real
    /// of at most 15 digits, which every double keeps apart.
    pub(crate) fn is_exact_number(&self) -> bool {
        match self {
            Self::Integer(n) => n.unsigned_abs() <= EXACT_INTEGER,
            Self::Real(text) => {
                let (digits, exponent) =
                    text.split_once(['e', 'E']).unwrap_or((text.as_str(), "0"));
                let significant = digits.bytes().filter(u8::is_ascii_digit);
                significant.skip_while(|&b| b == b'0').count() <= 15
                    && exponent.parse::<i32>().is_ok_and(|e| e.abs() <= 22)
            }
            Self::Text(_) | Self::Blob(_) => false,
        }
    }
}

/// Text that SQLite's numeric affinity would, or might, make a number of.
pub(crate) fn looks_numeric(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok()
}

/// `text` is how PostgreSQL prints some value of the type (dates in ISO form, at UTC), and so
/// compares as text just as the value does.
pub(crate) fn is_canonical(column_type: &ColumnType, text: &str) -> bool {
    match column_type {
        ColumnType::Date => is_date(text),
        ColumnType::Time => is_time(text),
        ColumnType::Timestamp => {
            text.split_once(' ').is_some_and(|(date, time)| is_date(date) && is_time(time))
        }
        ColumnType::TimestampTz => text
            .strip_suffix("+00:00")
            .is_some_and(|text| is_canonical(&ColumnType::Timestamp, text)),
        ColumnType::Uuid => {
            text.len() == 36
                && text.bytes().enumerate().all(|(place, byte)| match place {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                })
        }
        _ => false,
    }
}

/// The text has the shape of the pattern, in which `0` stands for any digit.
fn is_shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_date(text: &str) -> bool {
    is_shaped(text, "0000-00-00")
        && !text.starts_with("0000")
        && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    is_shaped(whole, "00:00:00")
        // A 60th second would be read as the 59th.
        && !whole.ends_with("60")
        && whole.parse::<jiff::civil::Time>().is_ok()
        && fraction.is_none_or(|digits| {
            (1..=6).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !digits.ends_with('0')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_is_what_postgresql_prints() {
        for (column_type, text, expected) in [
            (ColumnType::Date, "2024-02-29", true),
            (ColumnType::Date, "2023-02-29", false),
            (ColumnType::Date, "0000-01-01", false),
            (ColumnType::Time, "23:59:59.5", true),
            (ColumnType::Time, "23:59:59.50", false),
            (ColumnType::Time, "23:59:60", false),
            (ColumnType::Timestamp, "2024-01-01 00:00:00", true),
            (ColumnType::Timestamp, "2024-01-01T00:00:00", false),
            (ColumnType::Timestamp, "2024-01-01", false),
            (ColumnType::TimestampTz, "2024-01-01 00:00:00+00:00", true),
            (ColumnType::TimestampTz, "2024-01-01 00:00:00+01:00", false),
            (ColumnType::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true),
            (ColumnType::Uuid, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", false),
        ] {
            assert_eq!(is_canonical(&column_type, text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_exact_up_to_what_a_double_keeps() {
        assert!(Constant::number("9007199254740992").is_exact_number());
        assert!(!Constant::number("9007199254740993").is_exact_number());
        assert!(Constant::number("0.123456789012345").is_exact_number());
        assert!(!Constant::number("0.1234567890123456").is_exact_number());
        assert!(!Constant::number("9e999").is_exact_number());
        assert_eq!(
            Constant::number("9223372036854775808").negated(),
            Some(Constant::Integer(i64::MIN))
        );
    }
}

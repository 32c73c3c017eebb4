//! Constants: numbers with the same meaning in both databases, and canonical text.

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Integer(i64),
    /// A real, as written.
    Real(String),
    Text(String),
    Blob(Vec<u8>),
}

/// 2^53: every integer up to this magnitude is exact as a double.
pub(crate) const EXACT_INTEGER: u64 = 1 << 53;

impl Constant {
    /// Parses a number literal: an integer if it is written as one and has 64 bits, else a real.
    pub(crate) fn number(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Real(text.to_owned()), Self::Integer)
    }

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

    /// Whether the number is the same as a double and as a decimal: an integer up to 2^53, or a
    /// real of at most 15 digits.
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

/// Whether SQLite's numeric affinity may convert the text to a number.
pub(crate) fn looks_numeric(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_up_to_the_precision_of_a_double() {
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

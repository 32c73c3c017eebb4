//! The outcome of encoding one value: exact, converted, or a misfit with its reason.

use crate::schema::column_type::ColumnType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How faithfully a value arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// The value comes back as it was stored.
    Exact,
    /// The value that comes back differs in text or storage class.
    Converted,
    /// The value that comes back is another one: it is rounded to the type's precision.
    Rounded,
}

/// What the values of a type lose when they are rounded.
pub(crate) fn lost_digits(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Date => DIGITS_LOST[1],
        _ => DIGITS_LOST[0],
    }
}

/// The texts of [`lost_digits`].
pub(crate) const DIGITS_LOST: [&str; 2] = ["digits beyond microseconds lost", "time of day lost"];

impl Fidelity {
    /// `Exact` if the condition holds.
    #[inline]
    pub(crate) fn exact_if(exact: bool) -> Self {
        if exact { Self::Exact } else { Self::Converted }
    }
}

/// The reason why a value does not fit its column.
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
    /// Not a text form of the type.
    NotValid(ColumnType),
    ZoneMissing,
    ZonePresent,
    JsonNul,
    JsonSurrogate,
    JsonTooDeep,
    RowTooWide,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NulInText => "text with a NUL character",
            Self::InvalidText => "text that is not valid UTF-8",
            Self::TooLarge => "larger than 1 GB",
            Self::NotInteger => "not an integer",
            Self::OutOfRange => "out of the type's range",
            Self::NotNumber => "not a number",
            Self::NotExactAsDouble => "an integer beyond 2^53, which a double cannot hold exactly",
            Self::TooManyDigits => "more digits than the type holds",
            Self::NotText => "a blob, not text",
            Self::TooLong => "longer than the type allows",
            Self::NotValid(ColumnType::Boolean) => "neither 0 nor 1",
            Self::NotValid(ColumnType::Date) => "not an ISO date",
            Self::NotValid(ColumnType::Time) => "not an ISO time",
            Self::NotValid(ColumnType::Timestamp | ColumnType::TimestampTz) => {
                "not an ISO timestamp"
            }
            Self::NotValid(ColumnType::Interval) => "not an interval that migrate reads",
            Self::NotValid(ColumnType::Uuid) => "not a UUID",
            Self::NotValid(ColumnType::Json | ColumnType::Jsonb) => "not valid JSON",
            Self::NotValid(other) => return write!(f, "not a valid {other}"),
            Self::ZoneMissing => "a timestamp without a time zone",
            Self::ZonePresent => "a timestamp with a time zone",
            Self::JsonNul => "JSON with an escaped NUL character",
            Self::JsonSurrogate => "JSON with an unpaired surrogate escape",
            Self::JsonTooDeep => "JSON nested deeper than 1,000 levels",
            Self::RowTooWide => "a row that does not fit a PostgreSQL page",
        })
    }
}

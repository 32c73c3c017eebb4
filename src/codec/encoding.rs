//! How the values of a column are stored in SQLite and sent to PostgreSQL.

use crate::codec::types::temporal::epoch::Epoch;
use crate::schema::column_type::ColumnType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A column type, and how SQLite stores its values.
///
/// A type override (`--cast`) is an encoding as text, such as `bigint` or `timestamp:ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// The type in PostgreSQL.
    pub column_type: ColumnType,
    /// The form of the values in SQLite.
    pub stored: StoredForm,
}

/// How SQLite stores the values of a column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredForm {
    /// In the type's usual form: numbers as numbers, everything else as text or blob.
    Usual,
    /// Integers as canonical decimal text, in a column of text affinity. Only with `bigint`.
    IntegerText,
    /// Numbers that count from an epoch. Only with `date`, `timestamp` and `timestamptz`.
    Epoch(Epoch),
}

/// The words for epochs, which follow a type and a colon.
const EPOCH_WORDS: [(&str, Epoch); 5] = [
    ("s", Epoch::Seconds),
    ("ms", Epoch::Millis),
    ("us", Epoch::Micros),
    ("ns", Epoch::Nanos),
    ("julian", Epoch::Julian),
];

impl From<ColumnType> for Encoding {
    fn from(column_type: ColumnType) -> Self {
        Self { column_type, stored: StoredForm::Usual }
    }
}

impl Encoding {
    /// Canonical decimal text as `bigint`.
    pub const INTEGER_TEXT: Self =
        Self { column_type: ColumnType::BigInt, stored: StoredForm::IntegerText };

    /// Numbers that count from an epoch, as a date or timestamp.
    pub fn from_epoch(epoch: Epoch, column_type: ColumnType) -> Self {
        Self { column_type, stored: StoredForm::Epoch(epoch) }
    }

    /// The encoding is the usual one of the type.
    pub(crate) fn is(self, column_type: ColumnType) -> bool {
        self == Self::from(column_type)
    }

    /// The epoch from which stored numbers count, if they do.
    pub(crate) fn epoch(self) -> Option<Epoch> {
        match self.stored {
            StoredForm::Epoch(epoch) => Some(epoch),
            StoredForm::Usual | StoredForm::IntegerText => None,
        }
    }

    /// Reads `type` or `type:unit`, such as `numeric(10,2)` or `timestamp:ms`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (type_text, unit) =
            text.split_once(':').map_or((text, None), |(t, u)| (t, Some(u.trim())));
        let column_type = ColumnType::try_from(type_text.trim().to_owned())?;
        let Some(unit) = unit else { return Ok(column_type.into()) };
        let Some((_, epoch)) = EPOCH_WORDS.into_iter().find(|(word, _)| *word == unit) else {
            return Err(format!("unknown unit \"{unit}\"; use s, ms, us, ns or julian"));
        };
        if !matches!(
            column_type,
            ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz
        ) {
            return Err(format!(
                "{column_type} takes no unit; only date, timestamp and timestamptz do"
            ));
        }
        Ok(Self::from_epoch(epoch, column_type))
    }
}

impl fmt::Display for Encoding {
    /// The text that [`Encoding::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column_type)?;
        match EPOCH_WORDS.iter().find(|(_, epoch)| self.stored == StoredForm::Epoch(*epoch)) {
            Some((word, _)) => write!(f, ":{word}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::test_cases::texts;

    #[test]
    fn an_encoding_reads_back_as_it_prints() {
        let printed = |text| Encoding::parse(text).map(|to| to.to_string());
        for text in texts(&["bigint|numeric(10,2)|timestamp:s|timestamptz:ms|date:julian|json"]) {
            assert_eq!(printed(text).as_deref(), Ok(text));
        }
        assert_eq!(printed(" timestamp : ns ").as_deref(), Ok("timestamp:ns"));
        assert_eq!(Encoding::INTEGER_TEXT.to_string(), "bigint");
    }

    #[test]
    fn a_unit_goes_only_with_dates_and_is_one_of_five() {
        for (text, error) in [
            ("bigint:ms", "bigint takes no unit; only date, timestamp and timestamptz do"),
            ("timestamp:min", "unknown unit \"min\"; use s, ms, us, ns or julian"),
            ("money", "\"money\" is not a supported column type"),
        ] {
            assert_eq!(Encoding::parse(text), Err(error.to_owned()));
        }
    }
}

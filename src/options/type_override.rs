//! Column types that the user fixes with `--cast` and `--casts`.

use crate::codec::types::epoch::Epoch;
use crate::schema::column_type::ColumnType;
use serde::{Serialize, Serializer};
use std::fmt;

/// The target type of one column, fixed by the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TypeOverride {
    /// The table's name in the source.
    pub(crate) table: String,
    /// The column's name.
    pub(crate) column: String,
    /// The type it gets.
    pub(crate) to: OverrideType,
}

/// A target type, and the unit of the stored numbers that become dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverrideType {
    /// The type of the target column.
    pub(crate) column_type: ColumnType,
    /// The unit of a stored number; only for `date`, `timestamp` and `timestamptz`.
    pub(crate) epoch: Option<Epoch>,
}

/// The units that may follow a type.
const EPOCH_WORDS: [(&str, Epoch); 5] = [
    ("s", Epoch::Seconds),
    ("ms", Epoch::Millis),
    ("us", Epoch::Micros),
    ("ns", Epoch::Nanos),
    ("julian", Epoch::Julian),
];

impl OverrideType {
    /// Reads `type` or `type:unit`, such as `numeric(10,2)` or `timestamp:ms`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (type_text, unit) = match text.split_once(':') {
            Some((type_text, unit)) => (type_text, Some(unit.trim())),
            None => (text, None),
        };
        let column_type = ColumnType::parse(type_text)
            .ok_or_else(|| format!("\"{}\" is not a supported column type", type_text.trim()))?;
        let Some(unit) = unit else { return Ok(Self { column_type, epoch: None }) };
        let Some((_, epoch)) = EPOCH_WORDS.into_iter().find(|(word, _)| *word == unit) else {
            return Err(format!("unknown unit \"{unit}\": use s, ms, us, ns or julian"));
        };
        if !matches!(
            column_type,
            ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz
        ) {
            return Err(format!(
                "only date, timestamp and timestamptz take a unit, not {column_type}"
            ));
        }
        Ok(Self { column_type, epoch: Some(epoch) })
    }
}

impl fmt::Display for OverrideType {
    /// The text that [`OverrideType::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column_type)?;
        match self.epoch {
            Some(epoch) => {
                let word = EPOCH_WORDS.iter().find(|(_, one)| *one == epoch);
                write!(f, ":{}", word.map_or("", |(word, _)| word))
            }
            None => Ok(()),
        }
    }
}

impl Serialize for OverrideType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_type_parses_to_the_same_type() {
        for text in
            ["bigint", "numeric(10,2)", "timestamp:s", "timestamptz:ms", "date:julian", "json"]
        {
            assert_eq!(OverrideType::parse(text).map(|to| to.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(
            OverrideType::parse(" timestamp : ns ").map(|to| to.to_string()).as_deref(),
            Ok("timestamp:ns")
        );
    }

    #[test]
    fn only_dates_take_a_unit_and_there_are_five_units() {
        assert_eq!(
            OverrideType::parse("bigint:ms"),
            Err("only date, timestamp and timestamptz take a unit, not bigint".to_owned())
        );
        assert_eq!(
            OverrideType::parse("timestamp:min"),
            Err("unknown unit \"min\": use s, ms, us, ns or julian".to_owned())
        );
        assert_eq!(
            OverrideType::parse("money"),
            Err("\"money\" is not a supported column type".to_owned())
        );
    }
}

//! The column types of the PostgreSQL side, which are also the types of the row form.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A PostgreSQL column type as far as we create, read or write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum ColumnType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// `numeric`, or `numeric(precision, scale)`.
    Numeric(Option<(u16, u16)>),
    Text,
    Varchar(u32),
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
}

impl fmt::Display for ColumnType {
    /// The type as PostgreSQL's own `format_type` prints it, in its short spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Numeric(Some((precision, scale))) => {
                return write!(f, "numeric({precision},{scale})");
            }
            Self::Text => "text",
            Self::Varchar(length) => return write!(f, "varchar({length})"),
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
        })
    }
}

impl From<ColumnType> for String {
    fn from(value: ColumnType) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for ColumnType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("\"{text}\" is not a supported column type"))
    }
}

impl ColumnType {
    /// Reads a type as a person or PostgreSQL's `format_type` writes it; `None` where it is none
    /// of ours. Case and spaces around the parts do not matter.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let (word, arguments) = match lower.split_once('(') {
            Some((word, rest)) => {
                let (inner, tail) = rest.split_once(')')?;
                let numbers: Option<Vec<u32>> =
                    inner.split(',').map(|part| part.trim().parse().ok()).collect();
                (format!("{}{tail}", word.trim_end()), numbers?)
            }
            None => (lower, Vec::new()),
        };
        let word = word.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let plain = match word.as_str() {
            "numeric" | "decimal" => {
                return match *arguments.as_slice() {
                    [] => Some(Self::Numeric(None)),
                    [p] if (1..=1000).contains(&p) => Some(Self::Numeric(Some((p as u16, 0)))),
                    [p, s] if (1..=1000).contains(&p) && s <= p => {
                        Some(Self::Numeric(Some((p as u16, s as u16))))
                    }
                    _ => None,
                };
            }
            "varchar" | "character varying" => {
                return match *arguments.as_slice() {
                    [] => Some(Self::Text),
                    [n] if (1..=10_485_760).contains(&n) => Some(Self::Varchar(n)),
                    _ => None,
                };
            }
            "boolean" | "bool" => Self::Boolean,
            "smallint" | "int2" => Self::SmallInt,
            "integer" | "int" | "int4" => Self::Integer,
            "bigint" | "int8" => Self::BigInt,
            "real" | "float4" => Self::Real,
            "double precision" | "float8" | "double" => Self::Double,
            "text" => Self::Text,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" | "time without time zone" => Self::Time,
            "timestamp" | "timestamp without time zone" => Self::Timestamp,
            "timestamptz" | "timestamp with time zone" => Self::TimestampTz,
            "uuid" => Self::Uuid,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            _ => return None,
        };
        arguments.is_empty().then_some(plain)
    }

    /// The type is one of text in PostgreSQL, to which a collation applies.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_reads_back_as_it_prints() {
        for text in [
            "boolean",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "numeric(10,2)",
            "text",
            "varchar(40)",
            "bytea",
            "date",
            "time",
            "timestamp",
            "timestamptz",
            "uuid",
            "json",
            "jsonb",
        ] {
            assert_eq!(ColumnType::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
        assert_eq!(
            ColumnType::parse(" Numeric ( 5 , 2 ) "),
            Some(ColumnType::Numeric(Some((5, 2))))
        );
        assert_eq!(ColumnType::parse("character varying(3)"), Some(ColumnType::Varchar(3)));
        assert_eq!(ColumnType::parse("int(4)"), None);
        assert_eq!(ColumnType::parse("money"), None);
    }
}

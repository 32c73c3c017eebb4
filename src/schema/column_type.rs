//! The PostgreSQL column types that this program creates, reads and writes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A PostgreSQL column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub enum ColumnType {
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
    Interval,
    Uuid,
    Json,
    Jsonb,
    Inet,
}

/// The types without arguments: the name in PostgreSQL's `format_type`, in its short spelling,
/// and the other names.
const NAMES: &[(ColumnType, &str, &[&str])] = &[
    (ColumnType::Boolean, "boolean", &["bool"]),
    (ColumnType::SmallInt, "smallint", &["int2"]),
    (ColumnType::Integer, "integer", &["int", "int4"]),
    (ColumnType::BigInt, "bigint", &["int8"]),
    (ColumnType::Real, "real", &["float4"]),
    (ColumnType::Double, "double precision", &["float8", "double"]),
    (ColumnType::Numeric(None), "numeric", &["decimal"]),
    (ColumnType::Text, "text", &["varchar", "character varying"]),
    (ColumnType::Bytea, "bytea", &[]),
    (ColumnType::Date, "date", &[]),
    (ColumnType::Time, "time", &["time without time zone"]),
    (ColumnType::Timestamp, "timestamp", &["timestamp without time zone"]),
    (ColumnType::TimestampTz, "timestamptz", &["timestamp with time zone"]),
    (ColumnType::Interval, "interval", &[]),
    (ColumnType::Uuid, "uuid", &[]),
    (ColumnType::Json, "json", &[]),
    (ColumnType::Jsonb, "jsonb", &[]),
    (ColumnType::Inet, "inet", &[]),
];

/// The largest precision of `numeric(p,s)`.
const MAX_PRECISION: u32 = 1_000;
/// The largest length of `varchar(n)` in characters (`MaxAttrSize`).
const MAX_VARCHAR: u32 = 10_485_760;

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numeric(Some((precision, scale))) => write!(f, "numeric({precision},{scale})"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            plain => {
                let name = NAMES.iter().find(|(column_type, ..)| column_type == plain);
                f.write_str(name.map_or("", |(_, name, _)| name))
            }
        }
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
    /// Reads a type as a person or PostgreSQL's `format_type` writes it. Case and spaces around
    /// the parts do not matter. `None` for an unsupported type.
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
        let (plain, ..) =
            NAMES.iter().find(|(_, name, others)| *name == word || others.contains(&&*word))?;
        match (plain, arguments.as_slice()) {
            (_, []) => Some(*plain),
            (Self::Numeric(_), _) => Some(Self::Numeric(Some(decimal_limits(&arguments)?))),
            // Plain `varchar` is read as text.
            (Self::Text, &[length]) if word != "text" => Self::varchar(length),
            _ => None,
        }
    }

    /// `varchar(length)`, where PostgreSQL has such a type.
    pub(crate) fn varchar(length: u32) -> Option<Self> {
        (1..=MAX_VARCHAR).contains(&length).then_some(Self::Varchar(length))
    }

    /// The type is a text type, to which a collation applies.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_))
    }
}

/// The precision and scale that the arguments of a decimal type give, where PostgreSQL has such a
/// type. A precision alone has scale 0.
pub(crate) fn decimal_limits(arguments: &[u32]) -> Option<(u16, u16)> {
    let (precision, scale) = match *arguments {
        [precision] => (precision, 0),
        [precision, scale] => (precision, scale),
        _ => return None,
    };
    ((1..=MAX_PRECISION).contains(&precision) && scale <= precision)
        .then_some((precision as u16, scale as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_reads_back_as_it_prints() {
        let types = [
            ("boolean", ColumnType::Boolean),
            ("smallint", ColumnType::SmallInt),
            ("integer", ColumnType::Integer),
            ("bigint", ColumnType::BigInt),
            ("real", ColumnType::Real),
            ("double precision", ColumnType::Double),
            ("numeric", ColumnType::Numeric(None)),
            ("numeric(10,2)", ColumnType::Numeric(Some((10, 2)))),
            ("text", ColumnType::Text),
            ("varchar(40)", ColumnType::Varchar(40)),
            ("bytea", ColumnType::Bytea),
            ("date", ColumnType::Date),
            ("time", ColumnType::Time),
            ("timestamp", ColumnType::Timestamp),
            ("timestamptz", ColumnType::TimestampTz),
            ("interval", ColumnType::Interval),
            ("uuid", ColumnType::Uuid),
            ("json", ColumnType::Json),
            ("jsonb", ColumnType::Jsonb),
            ("inet", ColumnType::Inet),
        ];
        assert_eq!(types.len(), NAMES.len() + 2, "all types, and two with arguments");
        for (text, expected) in types {
            assert_eq!(ColumnType::parse(text), Some(expected));
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn arguments_are_read_only_where_the_type_has_them() {
        for (text, expected) in [
            (" Numeric ( 5 , 2 ) ", Some(ColumnType::Numeric(Some((5, 2))))),
            ("decimal(5)", Some(ColumnType::Numeric(Some((5, 0))))),
            ("character varying(3)", Some(ColumnType::Varchar(3))),
            ("varchar", Some(ColumnType::Text)),
            ("numeric(2,5)", None),
            ("varchar(0)", None),
            ("text(3)", None),
            ("int(4)", None),
            ("interval(3)", None),
            ("money", None),
        ] {
            assert_eq!(ColumnType::parse(text), expected, "{text}");
        }
    }
}

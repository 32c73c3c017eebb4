//! The kinds of values, the columns that an expression may name, and translated expressions.

/// What kind of value a column or an expression holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integers.
    Integer,
    /// Doubles.
    Real,
    /// Decimals, kept as the nearest number.
    Decimal,
    /// Text. Whether it has an order that both agree on: by bytes.
    Text {
        /// It compares by bytes in PostgreSQL, too.
        bytewise: bool,
    },
    /// 0 and 1.
    Boolean,
    /// ISO text of a date.
    Date,
    /// ISO text of a time of day.
    Time,
    /// ISO text of a timestamp.
    Timestamp,
    /// The same with `+00:00`.
    TimestampTz,
    /// Bytes.
    Blob,
    /// Text of which equal values are equal texts and which has no order: UUIDs, enums.
    Word,
    /// Anything else; it is NULL or not.
    Opaque,
    /// NULL itself.
    Null,
}

/// One column, as an expression has to know it.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// Its name in PostgreSQL.
    pub(crate) name: String,
    /// Its name in SQLite.
    pub(crate) target: String,
    /// What it holds.
    pub(crate) kind: Kind,
}

/// A translated part of an expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The text of a constant of text.
    pub(crate) constant: Option<String>,
}

impl Node {
    pub(crate) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self { sql: sql.into(), kind, constant: None }
    }
}

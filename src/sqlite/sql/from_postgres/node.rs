//! The kinds of values, the columns that an expression may name, and translated expressions.

/// The kind of the values of a column or an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Real,
    /// Decimals, stored as the nearest number.
    Decimal,
    Text {
        /// PostgreSQL also compares it by bytes.
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
    /// ISO text of a timestamp with `+00:00`.
    TimestampTz,
    Blob,
    /// Text without an order, whose equal values are equal texts: UUIDs, enums.
    Word,
    /// Any other value; only whether it is NULL is known.
    Opaque,
    Null,
}

impl Kind {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::Decimal)
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

/// A column that an expression may name.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// The name in PostgreSQL.
    pub(crate) name: String,
    /// The name in SQLite.
    pub(crate) target: String,
    pub(crate) kind: Kind,
}

/// A translated expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The text, if it is a text constant.
    pub(crate) constant: Option<String>,
}

impl Node {
    pub(crate) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self { sql: sql.into(), kind, constant: None }
    }
}

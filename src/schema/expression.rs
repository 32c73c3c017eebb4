//! SQL expressions that mean the same in both databases.
//!
//! A catalog keeps the text of each expression and, if every construct in it is known, its tree. An
//! expression without a tree is not migrated; it is listed with its text.

use serde::{Deserialize, Serialize};

/// An expression: its text, and its tree if every construct is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sql {
    /// The text as the database stores it.
    pub(crate) text: String,
    /// The tree; `None` if the text has an unknown construct.
    pub(crate) tree: Option<Expression>,
}

/// A tree of the constructs that can be translated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Null,
    /// An integer or decimal literal, as written (sign excluded).
    Number(String),
    /// A string literal, unquoted.
    String(String),
    /// A blob literal's bytes.
    Blob(Vec<u8>),
    /// TRUE or FALSE.
    Boolean(bool),
    /// A column of the current table, by its stored name.
    Column(String),
    /// A column of one of several tables: the table's alias in the query, and the stored name.
    Qualified(String, String),
    /// A double-quoted word that is not a column: SQLite reads it as a string.
    DoubleQuoted(String),
    /// CURRENT_TIMESTAMP, CURRENT_DATE, CURRENT_TIME: UTC, to the second, as text.
    Current(Current),
    /// An operator before its operand: `-`, `+`, `NOT`, `~`.
    Unary(&'static str, Box<Expression>),
    /// An operator between its operands, in upper case: `=`, `<>`, `<`, `AND`, `||`, `IS`, ...
    Binary(Box<Expression>, &'static str, Box<Expression>),
    /// `x [NOT] BETWEEN low AND high`.
    Between {
        operand: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// `x [NOT] IN (list)`.
    In {
        operand: Box<Expression>,
        list: Vec<Expression>,
        /// NOT IN.
        negated: bool,
    },
    /// `x IS [NOT] NULL`.
    IsNull {
        operand: Box<Expression>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// `x [NOT] LIKE pattern [ESCAPE e]` or GLOB.
    Like {
        operand: Box<Expression>,
        pattern: Box<Expression>,
        escape: Option<Box<Expression>>,
        /// GLOB rather than LIKE.
        glob: bool,
        /// NOT LIKE.
        negated: bool,
    },
    /// `CASE [base] WHEN .. THEN .. [ELSE ..] END`.
    Case {
        base: Option<Box<Expression>>,
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    /// `CAST(x AS type)`, the type as written.
    Cast(Box<Expression>, String),
    /// A function call: the name in lower case, and its arguments.
    Call(String, Vec<Expression>),
    /// `x COLLATE name`.
    Collate(Box<Expression>, Collation),
}

/// The three clocks of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Current {
    Date,
    Time,
    Timestamp,
}

/// A column affinity of SQLite: the conversion of values that are stored in the column or compared
/// with it (<https://sqlite.org/datatype3.html>, sections 3 and 4.2). The meaning of a comparison
/// depends on the affinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// Text that looks like a number becomes an integer or a real.
    Integer,
    /// Numbers become text.
    Text,
    /// Values are not converted.
    Blob,
    /// Numbers, and text that looks like one, become reals.
    Real,
    /// As `Integer`, for every other declared type.
    Numeric,
}

impl Affinity {
    /// INTEGER, REAL or NUMERIC: text that looks like a number becomes one.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::Numeric)
    }
}

impl Collation {
    pub(crate) fn is_binary(&self) -> bool {
        *self == Self::Binary
    }

    /// The name in SQLite.
    pub(crate) fn as_sql(&self) -> &str {
        match self {
            Self::Binary => "BINARY",
            Self::NoCase => "NOCASE",
            Self::RTrim => "RTRIM",
            Self::Other(name) => name,
        }
    }
}

/// How text is compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Collation {
    /// By bytes.
    #[default]
    Binary,
    /// ASCII letters without regard to case.
    NoCase,
    /// By bytes, trailing spaces ignored.
    RTrim,
    /// A collation that the application defines, by its name.
    Other(String),
}

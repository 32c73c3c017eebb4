//! SELECT statements of views, as far as they mean the same in both databases.
//!
//! Names are resolved and stars expanded: every column is an [`Expression::Qualified`].

use crate::schema::expression::Expression;

/// One SELECT, or several connected by UNION.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    /// The first SELECT.
    pub(crate) first: Core,
    /// The others, each added to the result of those before it.
    pub(crate) unions: Vec<(Union, Core)>,
    pub(crate) order_by: Vec<Ordering>,
    /// LIMIT, in rows.
    pub(crate) limit: Option<u64>,
    /// OFFSET, in rows.
    pub(crate) offset: Option<u64>,
}

/// The combination of two results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Union {
    /// UNION ALL: all rows.
    All,
    /// UNION: each row once.
    Distinct,
}

/// One SELECT without ORDER BY and LIMIT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Core {
    pub(crate) distinct: bool,
    /// The columns of the result.
    pub(crate) columns: Vec<Expression>,
    /// The relations that are read, joined from left to right; the first has no condition.
    pub(crate) from: Vec<Joined>,
    /// WHERE.
    pub(crate) filter: Option<Expression>,
    pub(crate) group_by: Vec<Expression>,
    pub(crate) having: Option<Expression>,
}

/// A table or view that a SELECT reads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Joined {
    /// Its name as stored.
    pub(crate) relation: String,
    /// The qualifier of its columns: the alias, or the name without one.
    pub(crate) alias: String,
    /// A LEFT JOIN: rows without a match are kept, with NULLs.
    pub(crate) left: bool,
    /// The condition of the join; without one, it is a cross join.
    pub(crate) on: Option<Expression>,
}

/// One term of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ordering {
    /// The sort key, an expression of the first SELECT.
    pub(crate) by: Expression,
    /// The index of the result column, if `by` is one (with or without COLLATE).
    pub(crate) result_index: Option<usize>,
    /// Sorted descending.
    pub(crate) descending: bool,
    /// NULLs come first.
    pub(crate) nulls_first: bool,
}

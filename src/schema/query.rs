//! SELECT statements as far as both databases mean the same by them: what a view is made of.
//!
//! Names are resolved and stars expanded: every column is an [`Expression::Qualified`].

use crate::schema::expression::Expression;

/// A SELECT, or several of them joined by UNION.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    /// The first SELECT.
    pub(crate) first: Core,
    /// The others, each added to the result of those before it.
    pub(crate) unions: Vec<(Union, Core)>,
    /// ORDER BY.
    pub(crate) order_by: Vec<Ordering>,
    /// LIMIT, in rows.
    pub(crate) limit: Option<u64>,
    /// OFFSET, in rows.
    pub(crate) offset: Option<u64>,
}

/// How two results become one.
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
    /// DISTINCT.
    pub(crate) distinct: bool,
    /// The columns of the result.
    pub(crate) columns: Vec<Expression>,
    /// What is read, joined from left to right; the first has no condition.
    pub(crate) from: Vec<Joined>,
    /// WHERE.
    pub(crate) filter: Option<Expression>,
    /// GROUP BY.
    pub(crate) group_by: Vec<Expression>,
    /// HAVING.
    pub(crate) having: Option<Expression>,
}

/// A table or view that a SELECT reads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Joined {
    /// Its name as stored.
    pub(crate) relation: String,
    /// What columns of it are named by: its alias, or else its name.
    pub(crate) alias: String,
    /// Rows before it without a partner stay, beside NULLs.
    pub(crate) left: bool,
    /// The condition of the join; without one, every row meets every row.
    pub(crate) on: Option<Expression>,
}

/// One term of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ordering {
    /// What is sorted by; an expression of the first SELECT.
    pub(crate) by: Expression,
    /// Where `by` is a column of the result (a COLLATE around it aside): its place, from 0.
    pub(crate) place: Option<usize>,
    /// Sorted descending.
    pub(crate) descending: bool,
    /// NULLs come first.
    pub(crate) nulls_first: bool,
}

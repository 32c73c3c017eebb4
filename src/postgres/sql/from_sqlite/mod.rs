//! SQLite's expressions as PostgreSQL's, where both mean exactly the same.
//!
//! Everything here knows the new column types: what was `a IN (0, 1)` over integers is
//! `a IN (false, true)` over a boolean. A construct that is not known to give the same result
//! for every value that the new columns can hold is refused with the reason; nothing is guessed.
//! The one latitude: where SQLite turns an overflowing integer into an approximate real,
//! PostgreSQL refuses the row.
//!
//! All functions that appear in a result are IMMUTABLE, so that it may stand in an index. Text
//! columns are taken to be `COLLATE "C"`: they compare by bytes, as SQLite's BINARY does.

pub(crate) mod aggregate;
pub(crate) mod compare;
pub(crate) mod constant;
pub(crate) mod default;
pub(crate) mod functions;
pub(crate) mod select;
#[cfg(test)]
mod select_tests;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub(crate) use crate::postgres::sql::from_sqlite::default::default;
pub(crate) use crate::postgres::sql::from_sqlite::select::{Readable, select};

use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression, Sql};
use crate::schema::names::quote;
use crate::schema::{IndexOver, IndexTerm};

/// Why an expression cannot be carried over, in a few words that follow "because it".
pub(crate) type Reason = String;

/// One column, as an expression has to know it.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// The table's alias where columns of several tables are at hand: in the source, and in the
    /// target.
    pub(crate) table: Option<(String, String)>,
    /// Its name in the source.
    pub(crate) name: String,
    /// Its name in the target.
    pub(crate) target: String,
    /// Its type in the target.
    pub(crate) column_type: ColumnType,
    /// Its affinity in the source, which decides what comparisons with it mean there.
    pub(crate) affinity: Affinity,
    /// Its collation in the source.
    pub(crate) collation: Collation,
    /// Values change form on their way (a declared conversion: text that became booleans, numbers
    /// that became text, dates spelt in several ways): what was said of the old values need not
    /// hold for the new ones, except whether they are NULL.
    pub(crate) converted: bool,
    /// It is a generated column in the target too.
    pub(crate) generated: bool,
}

/// The columns that an expression may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    columns: &'a [ScopeColumn],
    /// Generated columns may be named; PostgreSQL forbids it in generated columns.
    generated: bool,
}

impl ScopeColumn {
    /// The column as an expression names it.
    fn sql(&self) -> String {
        match &self.table {
            Some((_, alias)) => format!("{}.{}", quote(alias), quote(&self.target)),
            None => quote(&self.target),
        }
    }
}

impl<'a> Scope<'a> {
    /// The columns of one table.
    pub(crate) fn new(columns: &'a [ScopeColumn]) -> Self {
        Self { columns, generated: true }
    }

    /// The column that the expression is, if it is one.
    fn named(&self, expr: &Expression) -> Option<Result<&'a ScopeColumn, Reason>> {
        match expr {
            Expression::Column(name) => Some(self.column(None, name)),
            Expression::Qualified(table, name) => Some(self.column(Some(table), name)),
            _ => None,
        }
    }

    fn column(&self, table: Option<&str>, name: &str) -> Result<&'a ScopeColumn, Reason> {
        let same = |column: &&ScopeColumn| {
            column.name == name && column.table.as_ref().map(|(alias, _)| alias.as_str()) == table
        };
        let column = self.columns.iter().find(same).ok_or_else(|| {
            format!("names the column {}, which is not carried over", quote(name))
        })?;
        if column.generated && !self.generated {
            return Err(format!("names the generated column {}", quote(name)));
        }
        Ok(column)
    }
}

fn tree(sql: &Sql) -> Result<&Expression, Reason> {
    sql.tree.as_ref().ok_or_else(|| "has a construct that is not known here".to_owned())
}

/// A condition: of a CHECK, or the WHERE of a partial index. Without outer parentheses.
pub(crate) fn condition(sql: &Sql, scope: &Scope<'_>) -> Result<String, Reason> {
    scope.truth(tree(sql)?)
}

/// One term of an index, ready to stand between the commas: a column or an expression in
/// parentheses, and DESC where it descends. A NOCASE or RTRIM term is over the folded text.
pub(crate) fn index_term(term: &IndexTerm, scope: &Scope<'_>) -> Result<String, Reason> {
    let direction = if term.descending { " DESC" } else { "" };
    let (node, plain) = match &term.over {
        IndexOver::Column(name) => {
            let column = scope.column(None, name)?;
            (Node::of_column(column)?, true)
        }
        IndexOver::Expression(sql) => (scope.value(tree(sql)?)?, false),
    };
    match &node.kind {
        Kind::Typed(ColumnType::Json) => return Err("is over json, which has no order".to_owned()),
        Kind::Null => return Err("is over nothing but NULL".to_owned()),
        _ => {}
    }
    if node.kind != Kind::Text {
        return Ok(format!(
            "{}{direction}",
            if plain { node.sql } else { format!("({})", node.sql) }
        ));
    }
    let folded = match &term.collation {
        Collation::Binary if plain => node.sql,
        Collation::Binary => format!("({} COLLATE \"C\")", node.operand()),
        Collation::NoCase => format!("lower({} COLLATE \"C\")", node.operand()),
        Collation::RTrim => format!("rtrim({}, ' ')", node.operand()),
        Collation::Other(name) => {
            return Err(format!("uses the collation {name:?}, which the application defines"));
        }
    };
    Ok(format!("{folded}{direction}"))
}

/// The expression of a generated column, for `GENERATED ALWAYS AS (...) STORED`. `column` is the
/// column itself.
pub(crate) fn generated(
    sql: &Sql,
    scope: &Scope<'_>,
    column: &ScopeColumn,
) -> Result<String, Reason> {
    let scope = Scope { generated: false, ..*scope };
    let node = scope.value(tree(sql)?)?.bare()?;
    let kind = Kind::of_type(&column.column_type)?;
    if column.converted || node.constant.is_some() {
        return Err("gives values that change form on their way".to_owned());
    }
    match (&node.kind, &kind) {
        (Kind::Text, Kind::Text) if column.affinity.is_numeric() => {
            Err("gives text to a column that makes numbers of it".to_owned())
        }
        (from, to) if from == to && *to != Kind::Numeric => Ok(node.sql),
        (Kind::Boolean, Kind::Integer) => Ok(node.integer()?.sql),
        (Kind::Integer, Kind::Text) if column.affinity == Affinity::Text => {
            Ok(format!("{}::text", node.operand()))
        }
        (Kind::Integer, Kind::Double) if column.affinity == Affinity::Real => {
            Ok(format!("{}::double precision", node.operand()))
        }
        _ => Err(format!("does not give the type {}", column.column_type)),
    }
}

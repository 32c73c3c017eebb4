//! The expressions of a table's definition: CHECKs, index terms, generated columns.

use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Sql};
use crate::schema::reason::{Reason, tree};
use crate::schema::{IndexOver, IndexTerm};

/// The condition of a CHECK, or the WHERE of a partial index, without outer parentheses.
pub(crate) fn condition(sql: &Sql, scope: &Scope<'_>) -> Result<String, Reason> {
    scope.truth(tree(sql)?)
}

/// One term of an index: a column or an expression in parentheses, and DESC if it descends. A
/// NOCASE or RTRIM term indexes the folded text.
pub(crate) fn index_term(term: &IndexTerm, scope: &Scope<'_>) -> Result<String, Reason> {
    let direction = if term.descending { " DESC" } else { "" };
    let (node, plain) = match &term.over {
        IndexOver::Column(name) => {
            let column = scope.column(None, name)?;
            (Node::from_column(column)?, true)
        }
        IndexOver::Expression(sql) => (scope.value(tree(sql)?)?, false),
    };
    match &node.kind {
        Kind::Typed(ColumnType::Json) => return Err("is over json, which has no order".to_owned()),
        Kind::Null => return Err("has no values but NULL".to_owned()),
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
        Collation::RTrim => format!("rtrim({}, ' ')", node.operand()),
        other => node.folded(other)?,
    };
    Ok(format!("{folded}{direction}"))
}

/// The expression of the generated column `column`, for `GENERATED ALWAYS AS (...) STORED`.
pub(crate) fn generated(
    sql: &Sql,
    scope: &Scope<'_>,
    column: &ScopeColumn,
) -> Result<String, Reason> {
    let scope = scope.without_generated();
    let node = scope.value(tree(sql)?)?.bare()?;
    let kind = Kind::from_type(&column.column_type)?;
    if column.converted || node.constant.is_some() {
        return Err("gives values that are converted".to_owned());
    }
    match (&node.kind, &kind) {
        (Kind::Text, Kind::Text) if column.affinity.is_numeric() => {
            Err("gives text to a column that converts it to numbers".to_owned())
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

//! The expressions of a table's definition: CHECKs, index terms, DEFAULTs, generated columns.

use crate::schema::expression::Sql;
use crate::schema::names::quote;
use crate::schema::reason::{Reason, tree};
use crate::schema::{IndexOver, IndexTerm};
use crate::sqlite::sql::from_postgres::clock;
use crate::sqlite::sql::from_postgres::node::{Kind, ScopeColumn};
use crate::sqlite::sql::from_postgres::value::{column, truth, value};

/// The condition of a CHECK, or the WHERE of a partial index.
pub(crate) fn condition(sql: &Sql, columns: &[ScopeColumn]) -> Result<String, Reason> {
    truth(tree(sql)?, columns)
}

/// The expression of a generated column of the kind `kind`.
pub(crate) fn generated(sql: &Sql, kind: Kind, columns: &[ScopeColumn]) -> Result<String, Reason> {
    let node = value(tree(sql)?, columns)?;
    if node.kind == kind || node.kind.is_text() && kind.is_text() || node.kind == Kind::Null {
        Ok(node.sql)
    } else {
        Err("gives values of another kind than the column".to_owned())
    }
}

pub(crate) fn index_term(term: &IndexTerm, columns: &[ScopeColumn]) -> Result<String, Reason> {
    let direction = if term.descending { " DESC" } else { "" };
    let sql = match &term.over {
        IndexOver::Column(name) => quote(&column(name, columns)?.target),
        IndexOver::Expression(sql) => format!("({})", value(tree(sql)?, columns)?.sql),
    };
    Ok(format!("{sql}{direction}"))
}

/// The DEFAULT that reads the clock, of a column of the kind `kind`.
pub(crate) fn clock_default(sql: &Sql, kind: Kind) -> Result<String, Reason> {
    clock::default(tree(sql)?, kind)
        .ok_or_else(|| "computes its value with an unknown expression".to_owned())
}

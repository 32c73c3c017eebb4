//! The scope of an expression: the columns that it may name.

use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression};
use crate::schema::names::quote;
use crate::schema::reason::Reason;

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
    pub(crate) generated: bool,
}

impl ScopeColumn {
    /// The column as an expression names it.
    pub(crate) fn sql(&self) -> String {
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

    /// The same columns for the expression of a generated column.
    pub(crate) fn without_generated(self) -> Self {
        Self { generated: false, ..self }
    }

    /// The column that the expression is, if it is one.
    pub(crate) fn named(&self, expr: &Expression) -> Option<Result<&'a ScopeColumn, Reason>> {
        match expr {
            Expression::Column(name) => Some(self.column(None, name)),
            Expression::Qualified(table, name) => Some(self.column(Some(table), name)),
            _ => None,
        }
    }

    pub(crate) fn column(
        &self,
        table: Option<&str>,
        name: &str,
    ) -> Result<&'a ScopeColumn, Reason> {
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

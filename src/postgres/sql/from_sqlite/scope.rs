//! The scope of an expression: the columns that it may name.

use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression};
use crate::schema::names::quote;
use crate::schema::reason::Reason;

/// A column that an expression may name.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// The alias of the table in the source and in the target, if the scope has several tables.
    pub(crate) table: Option<(String, String)>,
    pub(crate) name: String,
    /// The name in the target.
    pub(crate) target: String,
    /// The type in the target.
    pub(crate) column_type: ColumnType,
    /// The affinity in the source, which decides how SQLite compares it.
    pub(crate) affinity: Affinity,
    pub(crate) collation: Collation,
    /// Values are converted (text to booleans, numbers to text, dates in several forms). An
    /// expression over the old values may not hold for the new ones, except IS NULL.
    pub(crate) converted: bool,
    /// The column is also generated in the target.
    pub(crate) generated: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    columns: &'a [ScopeColumn],
    /// Whether generated columns may be named. PostgreSQL forbids it in generated columns.
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
    pub(crate) fn new(columns: &'a [ScopeColumn]) -> Self {
        Self { columns, generated: true }
    }

    /// The same columns for the expression of a generated column.
    pub(crate) fn without_generated(self) -> Self {
        Self { generated: false, ..self }
    }

    /// The column, if the expression is one.
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
        let column = self
            .columns
            .iter()
            .find(same)
            .ok_or_else(|| format!("uses the column {}, which is not migrated", quote(name)))?;
        if column.generated && !self.generated {
            return Err(format!("uses the generated column {}", quote(name)));
        }
        Ok(column)
    }
}

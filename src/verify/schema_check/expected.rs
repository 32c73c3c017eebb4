//! The schema that the target should have.

use crate::postgres::ledger::detail::Omission;
use crate::schema::{Column, Key, KeyColumn, Table};

#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) tables: Vec<ExpectedTable>,
    pub(crate) views: Vec<String>,
    /// The schema comes from a plan: objects have the planned form. Without a plan, any object that
    /// serves the same purpose is accepted.
    pub(crate) planned: bool,
    /// The objects that the run that filled the target did not migrate.
    pub(crate) omissions: Vec<Omission>,
    /// The names of tables that are deliberately not compared.
    pub(crate) ignored: Vec<String>,
    /// What cannot be compared.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct ExpectedTable {
    /// The name in the source, for messages.
    pub(crate) name: String,
    /// The names of the columns in the source, for messages.
    pub(crate) columns: Vec<String>,
    /// The table in the target's names; `None` if the target has no such table. A column that the
    /// target lacks has an empty name. An index without terms is known by its name alone.
    pub(crate) target: Option<Table>,
}

/// A column of which only its name, NOT NULL and `identity` are compared.
pub(crate) fn column(name: &str, not_null: bool, identity: bool) -> Column {
    Column { name: name.to_owned(), not_null, identity, ..Column::default() }
}

pub(crate) fn key(name: Option<&str>, columns: impl IntoIterator<Item = String>) -> Key {
    let column = |name| KeyColumn { name, ..KeyColumn::default() };
    let columns = columns.into_iter().map(column).collect();
    Key { name: name.map(str::to_owned), columns, conflict: None }
}

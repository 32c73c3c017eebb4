//! The schema that the target should have.

use crate::schema::expression::Collation;
use crate::schema::{Column, Key, KeyColumn, LeftOut, ObjectKind, Table};
use serde::{Deserialize, Serialize};

/// The schema that the target should have.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// The tables.
    pub(crate) tables: Vec<ExpectedTable>,
    /// The names of the views.
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

/// A table that the target should have.
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

/// An object that a run did not migrate, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Omission {
    /// The kind.
    pub(crate) kind: ObjectKind,
    /// The table in the source, if it belongs to one.
    pub(crate) table: Option<String>,
    /// The name.
    pub(crate) name: String,
}

impl Omission {
    /// The omission of an object that the report lists.
    pub(crate) fn from_left_out(left_out: &LeftOut) -> Self {
        let LeftOut { kind, table, name, .. } = left_out.clone();
        Self { kind, table, name }
    }
}

/// A column of which only its name, NOT NULL and `identity` are compared.
pub(crate) fn column(name: &str, not_null: bool, identity: bool) -> Column {
    Column { name: name.to_owned(), not_null, identity, ..Column::default() }
}

/// A key over `columns`.
pub(crate) fn key(name: Option<&str>, columns: impl IntoIterator<Item = String>) -> Key {
    let column = |name| KeyColumn { name, collation: Collation::Binary, descending: false };
    Key { name: name.map(str::to_owned), columns: columns.into_iter().map(column).collect() }
}

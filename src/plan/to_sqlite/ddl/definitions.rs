//! The state of making definitions: names that are taken, and what could not be migrated.

use crate::plan::texts::{column_renamed, renamed};
use crate::plan::to_sqlite::decisions::TableDecision;
use crate::plan::to_sqlite::names::{Names, original_name};
use crate::postgres::catalog::model::Catalog;
use crate::schema::{Key, LeftOut, ObjectKind, Table};
use crate::sqlite::sql::from_postgres::node::{Kind, ScopeColumn};

/// Makes the definitions of all tables of a plan, so that their names do not collide.
pub(crate) struct Definitions<'a> {
    /// The source.
    pub(crate) catalog: &'a Catalog,
    /// The tables' names in the target.
    pub(crate) table_names: Vec<String>,
    /// By table, its columns' names in the target.
    pub(crate) column_names: Vec<Vec<String>>,
    /// By table, what its columns hold.
    pub(crate) kinds: Vec<Vec<Kind>>,
    /// The names of the file's tables and indexes.
    pub(crate) names: Names,
    /// What could not be migrated.
    pub(crate) left_out: Vec<LeftOut>,
    /// Changed names.
    pub(crate) notes: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Allocates the names. What came from SQLite gets its old name.
    pub(crate) fn new(catalog: &'a Catalog, decisions: &[TableDecision]) -> Self {
        let mut names = Names::default();
        let mut notes = Vec::new();
        let mut table_names = Vec::new();
        let mut column_names = Vec::new();
        for table in &catalog.schema.tables {
            let facts = &catalog.facts[&table.name];
            let name = names.allocate(&original_name(&facts.origin, &table.name));
            notes.extend(renamed("table", &table.name, &name));
            table_names.push(name);
            let mut own = Names::default();
            let mut given = Vec::new();
            for (column, facts) in table.columns.iter().zip(&facts.columns) {
                let name = own.allocate(&original_name(&facts.origin, &column.name));
                notes.extend(column_renamed(("table", &table.name), &column.name, &name));
                given.push(name);
            }
            column_names.push(given);
        }
        let kinds = |table: &TableDecision| table.columns.iter().map(|c| c.mapping.kind).collect();
        let kinds = decisions.iter().map(kinds).collect();
        Self { catalog, table_names, column_names, kinds, names, left_out: Vec::new(), notes }
    }

    /// Lists a part of a table as not migrated.
    pub(crate) fn list(
        &mut self,
        (kind, table, name, definition): (ObjectKind, &Table, &str, Option<&str>),
        reason: &str,
    ) {
        let left_out = LeftOut::part(kind, &table.name, name, definition);
        self.left_out.push(left_out.because(reason));
    }

    /// The names of a key's columns in the target.
    pub(crate) fn target_names(&self, index: usize, key: &Key) -> Vec<String> {
        key.names().filter_map(|name| self.column(index, name)).collect()
    }

    /// A column's name in the target.
    pub(crate) fn column(&self, index: usize, name: &str) -> Option<String> {
        let table = &self.catalog.schema.tables[index];
        let number = table.columns.iter().position(|column| column.name == name)?;
        Some(self.column_names[index][number].clone())
    }

    /// The columns of a table as expressions know them.
    pub(crate) fn scope(&self, index: usize) -> Vec<ScopeColumn> {
        let table = &self.catalog.schema.tables[index];
        let all = table.columns.iter().zip(&self.column_names[index]).zip(&self.kinds[index]);
        all.map(|((column, target), kind)| ScopeColumn {
            name: column.name.clone(),
            target: target.clone(),
            kind: *kind,
        })
        .collect()
    }
}

//! The state of making definitions: names that are taken, and what could not be migrated.

use crate::plan::texts::{column_renamed, renamed};
use crate::plan::to_sqlite::decisions::TableDecision;
use crate::plan::to_sqlite::names::{Names, original_name, table_names};
use crate::postgres::catalog::model::Catalog;
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::schema::{LeftOut, ObjectKind, Table};
use crate::sqlite::sql::from_postgres::node::{Kind, ScopeColumn};
use crate::sqlite::sql::parse::kept;

/// Makes the definitions of all tables of a plan, so that their names do not collide.
pub(crate) struct Definitions<'a> {
    /// The source.
    pub(crate) catalog: &'a Catalog,
    /// The tables' names in the target.
    pub(crate) table_names: Vec<String>,
    /// By table, its columns as expressions know them, with their names in the target.
    pub(crate) scopes: Vec<Vec<ScopeColumn>>,
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
        let mut notes = Vec::new();
        let (names, table_names) = table_names(catalog);
        let mut scopes = Vec::new();
        let tables = catalog.schema.tables.iter().zip(&table_names);
        for ((table, name), decision) in tables.zip(decisions) {
            let facts = &catalog.facts[&table.name];
            notes.extend(renamed("table", &table.name, name));
            let mut own = Names::default();
            let columns = table.columns.iter().zip(&facts.columns).zip(&decision.columns);
            let scope = columns.map(|((column, facts), decision)| {
                let target = own.allocate(&original_name(&facts.origin, &column.name));
                notes.extend(column_renamed(("table", &table.name), &column.name, &target));
                ScopeColumn { name: column.name.clone(), target, kind: decision.mapping.kind }
            });
            scopes.push(scope.collect());
        }
        Self { catalog, table_names, scopes, names, left_out: Vec::new(), notes }
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

    /// The names of columns in the target.
    pub(crate) fn target_names<'n>(
        &self,
        index: usize,
        names: impl Iterator<Item = &'n str>,
    ) -> Vec<String> {
        names.filter_map(|name| Some(self.column(index, name)?.target.clone())).collect()
    }

    /// Lists a unique key over columns whose equal values may have several texts.
    pub(crate) fn list_loose_key<'n>(
        &mut self,
        (kind, index, name): (ObjectKind, usize, &str),
        mut columns: impl Iterator<Item = &'n str>,
    ) {
        if let Some(column) = columns.find(|column| self.has_several_texts(index, column)) {
            let reason = format!(
                "SQLite compares {} as text, so that it allows other spellings of a value",
                quote(column)
            );
            self.list((kind, &self.catalog.schema.tables[index], name, None), &reason);
        }
    }

    /// Whether equal values of a column may be stored as different texts, such as 1.0 and 1.00.
    pub(crate) fn has_several_texts(&self, index: usize, name: &str) -> bool {
        let table = &self.catalog.schema.tables[index];
        let facts = self.catalog.facts[&table.name].columns.iter();
        let base = table.columns.iter().zip(facts).find(|(column, _)| column.name == name);
        let base = base.map_or("", |(_, facts)| facts.base.trim_start_matches('_'));
        self.column(index, name).is_some_and(|column| column.kind == Kind::Opaque)
            && ["numeric", "numrange", "nummultirange", "jsonb", "interval", "timetz", "float8"]
                .contains(&base)
    }

    /// Why a text of a note does not return: it names a column of one of these tables that was renamed
    /// or dropped. SQLite would read its name in double quotes as a string.
    pub(crate) fn missing_column(
        &self,
        tables: impl IntoIterator<Item = usize>,
        text: &str,
    ) -> Option<Reason> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let text = text.to_lowercase();
        let names = |name: &str| {
            text.match_indices(&name.to_lowercase()).any(|(start, found)| {
                !text[..start].ends_with(is_word)
                    && !text[start + found.len()..].starts_with(is_word)
            })
        };
        tables.into_iter().find_map(|index| {
            let table = &self.catalog.schema.tables[index].name;
            let original = self.catalog.facts[table].origin["table"].as_str();
            let exists =
                |name: &str| self.scopes[index].iter().any(|c| c.target.eq_ignore_ascii_case(name));
            let mut columns = original.and_then(kept::columns).unwrap_or_default().into_iter();
            let column = columns.find(|name| !exists(name) && names(name))?;
            let (column, table) = (quote(&column), quote(table));
            Some(format!("column {column} of table {table} was renamed or dropped in PostgreSQL"))
        })
    }

    /// A column as expressions know it.
    pub(crate) fn column(&self, index: usize, name: &str) -> Option<&ScopeColumn> {
        self.scopes[index].iter().find(|column| column.name == name)
    }
}

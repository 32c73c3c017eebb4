//! The state of making definitions: names that are taken, and what could not be migrated.

use crate::plan::model::PlannedColumn;
use crate::plan::texts::renamed;
use crate::plan::to_postgres::decisions::Decisions;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::ledger;
use crate::postgres::sql::from_sqlite::scope::ScopeColumn;
use crate::schema::column_type::ColumnType;
use crate::schema::names::{Allocator, MAX_NAME_BYTES};
use crate::schema::{Key, LeftOut, Schema};
use crate::sqlite::catalog::model::{Catalog, TableFacts};
use crate::sqlite::sql::declared_type::column_affinity;
use std::collections::HashSet;

/// Makes the definitions of all tables of a plan, so that their names do not collide.
pub(crate) struct Definitions<'a> {
    /// The schema of the target.
    pub(crate) schema_name: &'a str,
    /// The source.
    pub(crate) catalog: &'a Catalog,
    /// What was found and decided about its tables.
    pub(crate) decisions: &'a Decisions,
    /// Tables of the source that the user excluded.
    pub(crate) excluded: HashSet<String>,
    /// The names of the schema's tables, indexes, keys, sequences and views.
    pub(crate) relations: Allocator,
    /// By table, the names of its constraints.
    pub(crate) constraints: Vec<Allocator>,
    /// The tables' names in the target.
    pub(crate) table_names: Vec<String>,
    /// By table, its indexes' names in the target.
    pub(crate) index_names: Vec<Vec<String>>,
    /// The views' names in the target.
    pub(crate) view_names: Vec<String>,
    /// By table, the columns of each key that a foreign key can refer to.
    pub(crate) referable: Vec<Vec<Vec<String>>>,
    /// What could not be migrated.
    pub(crate) left_out: Vec<LeftOut>,
    /// Unique indexes and keys that are damaged in the source.
    pub(crate) damaged: Vec<LeftOut>,
    /// Changed names, and keys that are built differently.
    pub(crate) notes: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Allocates the names around those that are `taken` by remaining objects of the target.
    pub(crate) fn new(
        schema_name: &'a str,
        catalog: &'a Catalog,
        decisions: &'a Decisions,
        excluded: HashSet<String>,
        taken: Vec<String>,
    ) -> Self {
        let tables = &catalog.schema.tables;
        let reserved = [ledger::TABLE.to_owned(), format!("{}_pkey", ledger::TABLE)];
        let mut definitions = Self {
            schema_name,
            catalog,
            decisions,
            excluded,
            relations: Allocator::new(reserved.into_iter().chain(taken)),
            constraints: vec![Allocator::default(); tables.len()],
            table_names: vec![String::new(); tables.len()],
            index_names: tables.iter().map(|t| vec![String::new(); t.indexes.len()]).collect(),
            view_names: vec![String::new(); catalog.schema.views.len()],
            referable: vec![Vec::new(); tables.len()],
            left_out: Vec::new(),
            damaged: Vec::new(),
            notes: Vec::new(),
        };
        definitions.allocate_names();
        definitions.note_changed_names();
        definitions
    }

    /// Allocates the names that fit first, so that a shortened name never takes another's name.
    fn allocate_names(&mut self) {
        let schema = self.schema();
        for fitting in [true, false] {
            let fits = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len()) == fitting;
            for (view, name) in schema.views.iter().zip(&mut self.view_names) {
                if fits(&view.name) {
                    *name = self.relations.relation(&view.name);
                }
            }
            for (index, table) in schema.tables.iter().enumerate() {
                if fits(&table.name) {
                    self.table_names[index] = self.relations.relation(&table.name);
                }
                for (index, name) in table.indexes.iter().zip(&mut self.index_names[index]) {
                    if fits(&index.name) {
                        *name = self.relations.relation(&index.name);
                    }
                }
            }
        }
    }

    fn note_changed_names(&mut self) {
        let tables = &self.schema().tables;
        let indexes = tables.iter().flat_map(|table| &table.indexes);
        let indexes = indexes.zip(self.index_names.iter().flatten());
        let tables = tables.iter().zip(&self.table_names);
        let tables = tables.filter_map(|(table, name)| renamed("table", &table.name, name));
        let indexes = indexes.filter_map(|(index, name)| renamed("index", &index.name, name));
        self.notes = tables.chain(indexes).collect();
    }

    /// The schema of the source.
    pub(crate) fn schema(&self) -> &'a Schema {
        &self.catalog.schema
    }

    /// Lists a unique index or key of the source that is damaged. Returns whether its keys are unique.
    pub(crate) fn list_damage(&mut self, owner: usize, label: &str, left_out: &LeftOut) -> bool {
        let damage = self.decisions.damage.get(&(owner, label.to_owned()));
        self.damaged.extend(damage.map(|damage| left_out.clone().because(&damage.reason)));
        !damage.is_some_and(|damage| damage.has_duplicates)
    }

    /// Whether a fact of SQLite holds for a table.
    pub(crate) fn fact(&self, table: usize, fact: fn(&TableFacts) -> bool) -> bool {
        self.catalog.facts.get(&self.schema().tables[table].name).is_some_and(fact)
    }

    /// The columns of a table as expressions know them.
    pub(crate) fn scope_columns(
        &self,
        table: usize,
        columns: &[PlannedColumn<ToPostgres>],
    ) -> Vec<ScopeColumn> {
        let is_strict = self.fact(table, |facts| facts.strict);
        let columns = columns.iter().zip(&self.schema().tables[table].columns);
        columns
            .map(|(planned, column)| ScopeColumn {
                table: None,
                name: planned.name.clone(),
                target: planned.target_name.clone(),
                column_type: planned.mapping.encoding.column_type,
                affinity: column_affinity(&column.declared, is_strict),
                collation: column.collation.clone(),
                converted: !planned.conversions.is_empty(),
                generated: column.generated.is_some(),
            })
            .collect()
    }

    pub(crate) fn nulls(&self, table: usize, column: usize) -> u64 {
        self.decisions.tables[table].profile.columns.get(column).map_or(0, |profile| profile.nulls)
    }

    /// Whether a column of the key holds NULL.
    pub(crate) fn has_nulls(&self, table: usize, key: &Key) -> bool {
        let columns = &self.schema().tables[table].columns;
        key.columns.iter().any(|part| {
            let column = columns.iter().position(|column| column.name == part.name);
            column.is_some_and(|column| self.nulls(table, column) > 0)
        })
    }
}

/// The names of the columns of a table or view in the target. Names that need no change are
/// allocated first.
pub(crate) fn column_names(wanted: &[&str]) -> Vec<String> {
    let mut names = Allocator::default();
    let mut given = vec![String::new(); wanted.len()];
    for fitting in [true, false] {
        for (&wanted, name) in wanted.iter().zip(&mut given) {
            let keeps = Allocator::default().column(wanted) == wanted;
            if keeps == fitting {
                *name = names.column(wanted);
            }
        }
    }
    given
}

/// The greatest value of an integer type; `None` for other types.
pub(crate) fn integer_limit(column_type: &ColumnType) -> Option<i64> {
    match column_type {
        ColumnType::SmallInt => Some(i64::from(i16::MAX)),
        ColumnType::Integer => Some(i64::from(i32::MAX)),
        ColumnType::BigInt => Some(i64::MAX),
        _ => None,
    }
}

//! From the source's schema and the decided columns to the definitions of the target.

pub(crate) mod comments;
pub(crate) mod foreign_keys;
pub(crate) mod keys;

pub(crate) use crate::plan::to_postgres::ddl::keys::{MAX_ENTRY, key_label};

use crate::plan::to_postgres::type_rules::TypeDecision;
use crate::plan::{OptionalDdl, PlannedColumn, PlannedKey};
use crate::postgres::ledger;
use crate::postgres::sql::ddl::{ColumnDdl, TableDdl};
use crate::postgres::sql::from_sqlite::default::default_clause;
use crate::postgres::sql::from_sqlite::definitions::generated;
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::column_type::ColumnType;
use crate::schema::names::{Allocator, MAX_NAME_BYTES, qualify, quote};
use crate::schema::{Key, LeftOut, ObjectKind, Schema, Table};
use crate::sqlite::catalog::{Catalog, TableFacts};
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::sql::declared_type::column_affinity;
use std::collections::{HashMap, HashSet};

/// Everything that defines one table in the target.
pub(crate) struct TableDefinition {
    /// The table.
    pub(crate) ddl: TableDdl,
    /// Its columns.
    pub(crate) columns: Vec<PlannedColumn>,
    /// Keys.
    pub(crate) keys: Vec<PlannedKey>,
    /// Indexes.
    pub(crate) indexes: Vec<OptionalDdl>,
    /// Checks.
    pub(crate) checks: Vec<OptionalDdl>,
    /// The identity column's sequence and the highest value handed out.
    pub(crate) sequence: Option<(String, i64)>,
}

/// What else decides about definitions, beside schema and values.
pub(crate) struct DdlInputs {
    /// Widths of index and key entries over [`MAX_ENTRY`], by table and name of the index (for
    /// keys: their label, see [`key_label`]).
    pub(crate) too_wide: HashMap<(usize, String), u64>,
    /// By table: its generated columns become plain ones.
    pub(crate) keep_plain: Vec<bool>,
    /// Tables of the source that are not copied because the user said so.
    pub(crate) excluded: HashSet<String>,
    /// Names in the target schema that belong to things that stay.
    pub(crate) taken: Vec<String>,
}

/// Makes definitions: one for all tables of a plan, as names must not collide between them.
pub(crate) struct Definitions<'a> {
    schema_name: &'a str,
    schema: &'a Schema,
    profiles: &'a [TableProfile],
    decisions: &'a [Vec<TypeDecision>],
    /// Which tables are STRICT.
    strict: Vec<bool>,
    /// Which tables are WITHOUT ROWID.
    without_rowid: Vec<bool>,
    /// Which tables' keys are AUTOINCREMENT.
    autoincrement: Vec<bool>,
    /// Widths of index and key entries over [`MAX_ENTRY`], by table and name of the index (for
    /// keys: their place, as `measure` numbers them).
    too_wide: HashMap<(usize, String), u64>,
    /// Tables whose generated columns become plain ones.
    keep_plain: Vec<bool>,
    /// Tables of the source that are not copied because the user said so.
    excluded: HashSet<String>,
    /// The names of each table's constraints.
    constraints: Vec<Allocator>,
    relations: Allocator,
    table_names: Vec<String>,
    index_names: Vec<Vec<String>>,
    view_names: Vec<String>,
    /// What could not be carried over.
    pub(crate) left_out: Vec<LeftOut>,
    /// Keys that PostgreSQL can hold as constraints or plain unique indexes, by table: what a
    /// foreign key may refer to.
    referable: Vec<Vec<Vec<String>>>,
    /// Names that had to be changed, and keys that had to be built otherwise.
    pub(crate) notes: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Allocates the names, around those that are `taken` by things that stay in the target. Those
    /// that fit are given first, so that a shortened one can never take the name of another table.
    pub(crate) fn new(
        schema_name: &'a str,
        catalog: &'a Catalog,
        profiles: &'a [TableProfile],
        decisions: &'a [Vec<TypeDecision>],
        given: DdlInputs,
    ) -> Self {
        let schema = &catalog.schema;
        let is_strict = |table: &Table| catalog.facts.get(&table.name).is_some_and(|f| f.strict);
        let facts_of = |fact: fn(&TableFacts) -> bool| -> Vec<bool> {
            let of_table = |table: &Table| catalog.facts.get(&table.name).is_some_and(fact);
            schema.tables.iter().map(of_table).collect()
        };
        let reserved = [ledger::TABLE.to_owned(), format!("{}_pkey", ledger::TABLE)];
        let DdlInputs { too_wide, keep_plain, excluded, taken } = given;
        let mut relations = Allocator::new(reserved.into_iter().chain(taken));
        let mut table_names = vec![String::new(); schema.tables.len()];
        let mut index_names: Vec<Vec<String>> =
            schema.tables.iter().map(|table| vec![String::new(); table.indexes.len()]).collect();
        let mut view_names = vec![String::new(); schema.views.len()];
        for fitting in [true, false] {
            let fits = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len()) == fitting;
            for (view, name) in schema.views.iter().zip(&mut view_names) {
                if fits(&view.name) {
                    *name = relations.relation(&view.name);
                }
            }
            for (place, table) in schema.tables.iter().enumerate() {
                if fits(&table.name) {
                    table_names[place] = relations.relation(&table.name);
                }
                for (index, name) in table.indexes.iter().zip(&mut index_names[place]) {
                    if fits(&index.name) {
                        *name = relations.relation(&index.name);
                    }
                }
            }
        }
        let mut notes = Vec::new();
        for (table, name) in schema.tables.iter().zip(&table_names) {
            if table.name != *name {
                notes.push(format!("table {} becomes {}", quote(&table.name), quote(name)));
            }
        }
        for (table, names) in schema.tables.iter().zip(&index_names) {
            for (index, name) in table.indexes.iter().zip(names) {
                if index.name != *name {
                    notes.push(format!("index {} becomes {}", quote(&index.name), quote(name)));
                }
            }
        }
        Self {
            schema_name,
            schema,
            profiles,
            decisions,
            strict: schema.tables.iter().map(is_strict).collect(),
            without_rowid: facts_of(|facts| facts.without_rowid),
            autoincrement: facts_of(|facts| facts.autoincrement),
            too_wide,
            keep_plain,
            excluded,
            constraints: vec![Allocator::default(); schema.tables.len()],
            relations,
            table_names,
            index_names,
            view_names,
            left_out: Vec::new(),
            referable: vec![Vec::new(); schema.tables.len()],
            notes,
        }
    }

    /// The name of a view in the target.
    pub(crate) fn view_name(&self, place: usize) -> &str {
        &self.view_names[place]
    }

    /// Defines one table.
    pub(crate) fn table(&mut self, place: usize) -> TableDefinition {
        let table = &self.schema.tables[place];
        let decisions = &self.decisions[place];
        let columns = self.name_columns(place);
        let scope_columns = self.scope_columns(place, &columns);
        let scope = Scope::new(&scope_columns);
        let key_not_null = self.key_columns_without_null(place);
        let in_key = |column: &crate::schema::Column| key_not_null.contains(&column.name);
        let autoincrement = self.autoincrement[place];
        let mut ddl_columns = Vec::with_capacity(columns.len());
        let mut sequence = None;
        let both = columns.iter().zip(&table.columns).zip(decisions);
        for (number, ((planned, column), decision)) in both.enumerate() {
            let column_type = decision.cast.form.column_type();
            let identity = integer_limit(&column_type).filter(|_| column.identity).map(|limit| {
                let wanted = format!("{}_{}_seq", self.table_names[place], planned.target_name);
                let name = self.relations.relation(&wanted);
                let largest = self.highest(place).min(limit);
                sequence = Some((qualify(self.schema_name, &name), largest));
                qualify(self.schema_name, &name)
            });
            let default = column.default.as_ref().filter(|_| identity.is_none()).and_then(|sql| {
                default_clause(sql, &column_type)
                    .map_err(|reason| {
                        let (kind, sql) = (ObjectKind::Default, Some(sql.text.as_str()));
                        let left_out = LeftOut::part(kind, &table.name, &column.name, sql);
                        self.left_out.push(left_out.because(reason));
                    })
                    .ok()
            });
            let nulls = self.profiles[place].columns.get(number).map_or(0, |p| p.nulls);
            let not_null = column.not_null && nulls == 0;
            if column.not_null && !not_null {
                let left_out = LeftOut::part(ObjectKind::Column, &table.name, &column.name, None);
                let reason = format!("declared NOT NULL, but {nulls} of its values are NULL");
                self.left_out.push(left_out.because(reason));
            }
            let generated = column.generated.as_ref().and_then(|rule| {
                let translated = if self.keep_plain[place] {
                    // The encoder has to see the values that decide whether a row can be sent.
                    Err("is in a table whose rows may not all fit".to_owned())
                } else {
                    generated(&rule.expression, &scope, &scope_columns[number])
                };
                translated
                    .map_err(|reason| {
                        let kind = ObjectKind::GeneratedColumn;
                        let sql = Some(rule.expression.text.as_str());
                        let left_out = LeftOut::part(kind, &table.name, &column.name, sql);
                        let reason = format!("{reason}; it becomes a plain column with its values");
                        self.left_out.push(left_out.because(reason));
                    })
                    .ok()
            });
            ddl_columns.push(ColumnDdl {
                name: planned.target_name.clone(),
                column_type,
                not_null: column.identity || key_not_null.contains(&column.name) || not_null,
                default,
                generated,
                identity,
                comment: Some(comments::of_column(column, planned, in_key(column), autoincrement)),
            });
        }
        let ddl = TableDdl {
            schema: self.schema_name.to_owned(),
            name: self.table_names[place].clone(),
            columns: ddl_columns,
            comment: self.table_comment(place),
        };
        let keys = self.keys(place, &scope_columns);
        let indexes = self.indexes(place, &scope_columns);
        let checks = self.checks(place, &scope);
        TableDefinition { ddl, columns, keys, indexes, checks, sequence }
    }

    fn name_columns(&mut self, place: usize) -> Vec<PlannedColumn> {
        let table = &self.schema.tables[place];
        let wanted: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let given = column_names(&wanted);
        let decisions = &self.decisions[place];
        let mut columns = Vec::with_capacity(given.len());
        for ((column, target_name), decision) in table.columns.iter().zip(given).zip(decisions) {
            if target_name != column.name {
                self.notes.push(format!(
                    "column {} of table {} becomes {}",
                    quote(&column.name),
                    quote(&table.name),
                    quote(&target_name)
                ));
            }
            columns.push(PlannedColumn {
                name: column.name.clone(),
                target_name,
                declared: column.declared.clone(),
                decision: decision.clone(),
            });
        }
        columns
    }

    /// The columns as expressions have to know them.
    pub(crate) fn scope_columns(
        &self,
        place: usize,
        columns: &[PlannedColumn],
    ) -> Vec<ScopeColumn> {
        columns
            .iter()
            .zip(&self.schema.tables[place].columns)
            .map(|(planned, column)| ScopeColumn {
                table: None,
                name: planned.name.clone(),
                target: planned.target_name.clone(),
                column_type: planned.decision.cast.form.column_type(),
                affinity: column_affinity(&column.declared, self.strict[place]),
                collation: column.collation.clone(),
                converted: !planned.decision.conversions.is_empty(),
                generated: column.generated.is_some(),
            })
            .collect()
    }

    /// The columns of the primary key, if none of their values is NULL.
    fn key_columns_without_null(&self, place: usize) -> Vec<String> {
        let Some(key) = &self.schema.tables[place].primary_key else { return Vec::new() };
        if self.has_nulls(place, key) {
            return Vec::new();
        }
        key.columns.iter().map(|column| column.name.clone()).collect()
    }

    fn column_place(&self, place: usize, name: &str) -> Option<usize> {
        self.schema.tables[place].columns.iter().position(|column| column.name == name)
    }

    fn has_nulls(&self, place: usize, key: &Key) -> bool {
        key.columns.iter().any(|column| {
            self.column_place(place, &column.name)
                .and_then(|column| self.profiles[place].columns.get(column))
                .is_some_and(|profile| profile.nulls > 0)
        })
    }

    /// The highest value that the identity column has had.
    fn highest(&self, place: usize) -> i64 {
        let table = &self.schema.tables[place];
        let stored = table
            .columns
            .iter()
            .zip(&self.profiles[place].columns)
            .find(|(column, _)| column.identity)
            .and_then(|(_, profile)| profile.range)
            .map_or(0, |(_, greatest)| greatest);
        stored.max(table.sequence.unwrap_or(0))
    }
}

/// The names of a table's or view's columns in the target. Those that keep theirs come first, as
/// for tables.
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

/// The greatest value of an integer type; `None` where it is none.
fn integer_limit(column_type: &ColumnType) -> Option<i64> {
    match column_type {
        ColumnType::SmallInt => Some(i64::from(i16::MAX)),
        ColumnType::Integer => Some(i64::from(i32::MAX)),
        ColumnType::BigInt => Some(i64::MAX),
        _ => None,
    }
}

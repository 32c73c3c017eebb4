//! From the source's schema and the decided columns to the definitions of the target.

use crate::postgres::ddl::{self, ColumnDdl, ForeignKeyDdl, TableDdl};
use crate::postgres::ledger;
use crate::postgres::translate::{self, Scope, ScopeColumn};
use crate::schema::names::{Allocator, LONGEST, qualify, quote};
use crate::schema::{
    Collation, ColumnType, ForeignKey, Index, IndexOver, Key, LeftOut, ObjectKind, Schema, Table,
};
use crate::sqlite::catalog::{Catalog, TableFacts};
use crate::sqlite::profile::TableProfile;
use crate::sqlite::types::column_affinity;
use crate::transfer::plan::cast_rules::Decision;
use crate::transfer::plan::choose::BY_REQUEST;
use crate::transfer::plan::{Optional, PlannedColumn, PlannedForeignKey, PlannedKey};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// The widest entry of a b-tree index, in bytes: a third of a page.
/// Source: `BTMaxItemSize` in PostgreSQL's nbtree.h, less the entry's own head.
pub const WIDEST_ENTRY: u64 = 2_704 - 16;

/// Everything that defines one table in the target.
pub struct TableDefinition {
    /// The table.
    pub ddl: TableDdl,
    /// Its columns.
    pub columns: Vec<PlannedColumn>,
    /// Keys.
    pub keys: Vec<PlannedKey>,
    /// Indexes.
    pub indexes: Vec<Optional>,
    /// Checks.
    pub checks: Vec<Optional>,
    /// The identity column's sequence and the highest value handed out.
    pub sequence: Option<(String, i64)>,
}

/// What else decides about definitions, beside schema and values.
pub struct Circumstances {
    /// Widths of index and key entries over [`WIDEST_ENTRY`], by table and name of the index (for
    /// keys: their label, see [`key_label`]).
    pub too_wide: HashMap<(usize, String), u64>,
    /// By table: its generated columns become plain ones.
    pub keep_plain: Vec<bool>,
    /// Tables of the source that are not copied because the user said so.
    pub excluded: HashSet<String>,
    /// Names in the target schema that belong to things that stay.
    pub taken: Vec<String>,
}

/// Makes definitions: one for all tables of a plan, as names must not collide between them.
pub struct Definitions<'a> {
    schema_name: &'a str,
    schema: &'a Schema,
    profiles: &'a [TableProfile],
    decisions: &'a [Vec<Decision>],
    /// Which tables are STRICT.
    strict: Vec<bool>,
    /// Which tables are WITHOUT ROWID.
    without_rowid: Vec<bool>,
    /// Which tables' keys are AUTOINCREMENT.
    autoincrement: Vec<bool>,
    /// Widths of index and key entries over [`WIDEST_ENTRY`], by table and name of the index (for
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
    pub left_out: Vec<LeftOut>,
    /// Keys that PostgreSQL can hold as constraints or plain unique indexes, by table: what a
    /// foreign key may refer to.
    referable: Vec<Vec<Vec<String>>>,
    /// Names that had to be changed, and keys that had to be built otherwise.
    pub notes: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Allocates the names, around those that are `taken` by things that stay in the target. Those
    /// that fit are given first, so that a shortened one can never take the name of another table.
    pub fn new(
        schema_name: &'a str,
        catalog: &'a Catalog,
        profiles: &'a [TableProfile],
        decisions: &'a [Vec<Decision>],
        given: Circumstances,
    ) -> Self {
        let schema = &catalog.schema;
        let is_strict = |table: &Table| catalog.facts.get(&table.name).is_some_and(|f| f.strict);
        let facts_of = |fact: fn(&TableFacts) -> bool| -> Vec<bool> {
            let of_table = |table: &Table| catalog.facts.get(&table.name).is_some_and(fact);
            schema.tables.iter().map(of_table).collect()
        };
        let reserved = [ledger::TABLE.to_owned(), format!("{}_pkey", ledger::TABLE)];
        let Circumstances { too_wide, keep_plain, excluded, taken } = given;
        let mut relations = Allocator::new(reserved.into_iter().chain(taken));
        let mut table_names = vec![String::new(); schema.tables.len()];
        let mut index_names: Vec<Vec<String>> =
            schema.tables.iter().map(|table| vec![String::new(); table.indexes.len()]).collect();
        let mut view_names = vec![String::new(); schema.views.len()];
        for fitting in [true, false] {
            let fits = |name: &str| (1..=LONGEST).contains(&name.len()) == fitting;
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
    #[must_use]
    pub fn view_name(&self, place: usize) -> &str {
        &self.view_names[place]
    }

    /// Defines one table.
    pub fn table(&mut self, place: usize) -> TableDefinition {
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
                translate::default(sql, &column_type)
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
                    translate::generated(&rule.expression, &scope, &scope_columns[number])
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
                comment: Some(comment(column, planned, in_key(column), autoincrement)),
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

    /// What the way back needs to make the table as it was, as a comment in JSON.
    fn table_comment(&self, place: usize) -> Option<String> {
        let table = &self.schema.tables[place];
        let mut facts = serde_json::Map::new();
        if self.table_names[place] != table.name {
            facts.insert("name".to_owned(), table.name.clone().into());
        }
        if self.strict[place] {
            facts.insert("strict".to_owned(), true.into());
        }
        if self.without_rowid[place] {
            facts.insert("without_rowid".to_owned(), true.into());
        }
        (!facts.is_empty()).then(|| json!({ "sqlite": facts }).to_string())
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
    #[must_use]
    pub fn scope_columns(&self, place: usize, columns: &[PlannedColumn]) -> Vec<ScopeColumn> {
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

    fn keys(&mut self, place: usize, scope: &[ScopeColumn]) -> Vec<PlannedKey> {
        let schema = self.schema;
        let table = &schema.tables[place];
        let primary = table.primary_key.iter().map(|key| (key, true));
        let all = primary.chain(table.uniques.iter().map(|key| (key, false)));
        let mut keys = Vec::new();
        for (number, (key, primary)) in all.enumerate() {
            let has_nulls = primary && self.has_nulls(place, key);
            let as_primary = primary && !has_nulls;
            let what = format!(
                "{} of {}",
                if primary { "primary key" } else { "unique key" },
                quote(&table.name)
            );
            let columns: Vec<&str> = key.columns.iter().map(|c| c.name.as_str()).collect();
            let target = &self.table_names[place];
            let wanted = key.name.clone().unwrap_or_else(|| {
                if primary {
                    format!("{target}_pkey")
                } else {
                    format!("{target}_{}_key", columns.join("_"))
                }
            });
            let name = self.relations.relation(&wanted);
            self.constraints[place].relation(&name);
            let qualified = qualify(self.schema_name, target);
            let mut plain = true;
            let mut terms = Vec::new();
            for column in &key.columns {
                let (term, is_plain) = key_term(scope, &column.name, &column.collation);
                plain &= is_plain;
                terms.push(term);
            }
            let hashed = self.too_wide.contains_key(&(place, key_label(number)));
            if hashed {
                // Only reached where the user let such keys be built over a hash.
                plain = false;
                terms = key.columns.iter().map(|c| hashed_term(scope, &c.name)).collect();
                self.notes.push(format!(
                    "{what} ({}) is built over a hash of its values, which are too wide for an index",
                    columns.join(", ")
                ));
            }
            if has_nulls {
                let (kind, sql) =
                    (ObjectKind::PrimaryKey, format!("PRIMARY KEY ({})", columns.join(", ")));
                let left_out = LeftOut::part(kind, &table.name, &name, Some(&sql));
                let reason = "some of its values are NULL; it becomes a unique key";
                self.left_out.push(left_out.because(reason));
            }
            if plain {
                self.referable[place].push(columns.iter().map(|&name| name.to_owned()).collect());
            }
            keys.push(PlannedKey {
                what,
                name: name.clone(),
                columns: columns.iter().map(|&name| name.to_owned()).collect(),
                index: ddl::create_index(&qualified, &name, true, &terms, None),
                constraint: plain.then(|| ddl::add_key(&qualified, &name, as_primary)),
            });
        }
        keys
    }

    fn indexes(&mut self, place: usize, columns: &[ScopeColumn]) -> Vec<Optional> {
        let schema = self.schema;
        let table = &schema.tables[place];
        let scope = Scope::new(columns);
        let mut indexes = Vec::new();
        for (number, index) in table.indexes.iter().enumerate() {
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
            if let Some(width) = self.too_wide.get(&(place, index.name.clone())) {
                let reason =
                    format!("its widest entry has {width} bytes, and the server takes 2,704");
                self.left_out.push(left_out.because(reason));
                continue;
            }
            match index_parts(index, &scope) {
                Ok((terms, filter)) => {
                    let name = self.index_names[place][number].clone();
                    let qualified = qualify(self.schema_name, &self.table_names[place]);
                    if index.unique && filter.is_none() {
                        self.note_referable(place, index, columns);
                    }
                    let filter = filter.as_deref();
                    indexes.push(Optional {
                        what: format!("index {} on {}", quote(&index.name), quote(&table.name)),
                        sql: ddl::create_index(&qualified, &name, index.unique, &terms, filter),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        indexes
    }

    fn note_referable(&mut self, place: usize, index: &Index, columns: &[ScopeColumn]) {
        let referable: Option<Vec<String>> = index
            .terms
            .iter()
            .map(|term| match &term.over {
                IndexOver::Column(name) => {
                    let (_, plain) = key_term(columns, name, &term.collation);
                    plain.then(|| name.clone())
                }
                IndexOver::Expression(_) => None,
            })
            .collect();
        self.referable[place].extend(referable);
    }

    fn checks(&mut self, place: usize, scope: &Scope<'_>) -> Vec<Optional> {
        let schema = self.schema;
        let table = &schema.tables[place];
        let mut checks = Vec::new();
        for (number, check) in table.checks.iter().enumerate() {
            let wanted = check
                .name
                .clone()
                .unwrap_or_else(|| format!("{}_check{}", self.table_names[place], number + 1));
            let name = self.constraints[place].relation(&wanted);
            let (kind, sql) = (ObjectKind::Check, Some(check.condition.text.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &name, sql);
            match translate::condition(&check.condition, scope) {
                Ok(condition) => {
                    let qualified = qualify(self.schema_name, &self.table_names[place]);
                    checks.push(Optional {
                        what: format!("check {} on {}", quote(&name), quote(&table.name)),
                        sql: ddl::add_check(&qualified, &name, &condition, true),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        checks
    }

    /// Defines the foreign keys, after all tables.
    pub fn foreign_keys(&mut self, columns: &[&[PlannedColumn]]) -> Vec<PlannedForeignKey> {
        let schema = self.schema;
        let mut keys = Vec::new();
        for (child, table) in schema.tables.iter().enumerate() {
            for key in &table.foreign_keys {
                let wanted = key.name.clone().unwrap_or_else(|| {
                    format!("{}_{}_fkey", self.table_names[child], key.columns.join("_"))
                });
                let name = self.constraints[child].relation(&wanted);
                let (kind, sql) = (ObjectKind::ForeignKey, Some(described(key)));
                let left_out = LeftOut::part(kind, &table.name, &name, sql.as_deref());
                match self.parent_of(child, key, columns) {
                    Ok(parent) => keys.push(PlannedForeignKey {
                        child,
                        parent,
                        columns: key.columns.clone(),
                        parent_columns: key.parent_columns.clone(),
                        ddl: ForeignKeyDdl {
                            table: qualify(self.schema_name, &self.table_names[child]),
                            name,
                            columns: renamed(&key.columns, columns[child]),
                            parent: qualify(self.schema_name, &self.table_names[parent]),
                            parent_columns: renamed(&key.parent_columns, columns[parent]),
                            on_delete: key.on_delete,
                            on_update: key.on_update,
                            deferrable: key.deferrable,
                        },
                        left_out,
                    }),
                    Err(reason) => self.left_out.push(left_out.because(reason)),
                }
            }
        }
        keys
    }

    /// The parent's place, or why the key cannot be.
    fn parent_of(
        &self,
        child: usize,
        key: &ForeignKey,
        columns: &[&[PlannedColumn]],
    ) -> Result<usize, String> {
        let parent = self.schema.tables.iter().position(|table| table.name == key.parent);
        let Some(parent) = parent else {
            return Err(format!(
                "table {} is {}",
                quote(&key.parent),
                if self.excluded.contains(&key.parent) {
                    BY_REQUEST
                } else {
                    "not there or not copied"
                }
            ));
        };
        let mut wanted = key.parent_columns.clone();
        wanted.sort_unstable();
        let is_unique = self.referable[parent].iter().any(|columns| {
            let mut columns = columns.clone();
            columns.sort_unstable();
            columns == wanted
        });
        if wanted.is_empty() || !is_unique {
            return Err("the columns it refers to have no unique key to refer to".to_owned());
        }
        let type_of = |place: usize, name: &str| {
            columns[place]
                .iter()
                .find(|column| column.name == name)
                .map(|column| column.decision.cast.form.column_type())
        };
        for (from, to) in key.columns.iter().zip(&key.parent_columns) {
            let (Some(from), Some(to)) = (type_of(child, from), type_of(parent, to)) else {
                return Err("a column of it is not there".to_owned());
            };
            let both_integers = integer_limit(&from).is_some() && integer_limit(&to).is_some();
            if from != to && !(from.is_text() && to.is_text()) && !both_integers {
                return Err(format!("its columns are {from} and {to}, which do not compare"));
            }
        }
        Ok(parent)
    }
}

/// The names of a table's or view's columns in the target. Those that keep theirs come first, as
/// for tables.
#[must_use]
pub fn column_names(wanted: &[&str]) -> Vec<String> {
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

/// How the measured widths name the key with this number (the primary key first).
#[must_use]
pub fn key_label(number: usize) -> String {
    format!("\0key {number}")
}

fn renamed(names: &[String], columns: &[PlannedColumn]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            columns
                .iter()
                .find(|column| column.name == *name)
                .map_or_else(|| name.clone(), |column| column.target_name.clone())
        })
        .collect()
}

/// A key's term over a column, and whether it is the column itself. SQLite's NOCASE folds ASCII
/// letters only, which is what `lower` does under the collation "C".
fn key_term(scope: &[ScopeColumn], name: &str, collation: &Collation) -> (String, bool) {
    let Some(column) = scope.iter().find(|column| column.name == name) else {
        return (quote(name), true);
    };
    let quoted = quote(&column.target);
    match collation {
        Collation::NoCase if column.column_type.is_text() => {
            (format!("pg_catalog.lower({quoted} COLLATE \"C\")"), false)
        }
        Collation::RTrim if column.column_type.is_text() => {
            (format!("pg_catalog.rtrim({quoted}, ' ')"), false)
        }
        _ => (quoted, true),
    }
}

/// A term over the hash of a column of any length, and the column itself where that is short.
fn hashed_term(scope: &[ScopeColumn], name: &str) -> String {
    let Some(column) = scope.iter().find(|column| column.name == name) else {
        return quote(name);
    };
    let quoted = quote(&column.target);
    match column.column_type {
        ColumnType::Bytea => format!("pg_catalog.sha256({quoted})"),
        // The server has no longer hash of text that it allows in an index.
        ref text if text.is_text() => {
            format!("pg_catalog.md5({})", key_term(scope, name, &column.collation).0)
        }
        _ => quoted,
    }
}

/// The terms and the filter of an index, or why it cannot be.
fn index_parts(
    index: &Index,
    scope: &Scope<'_>,
) -> Result<(Vec<String>, Option<String>), translate::Reason> {
    let terms: Result<Vec<String>, _> =
        index.terms.iter().map(|term| translate::index_term(term, scope)).collect();
    let filter = index.filter.as_ref().map(|sql| translate::condition(sql, scope)).transpose();
    Ok((terms?, filter?))
}

fn described(key: &ForeignKey) -> String {
    format!(
        "FOREIGN KEY ({}) REFERENCES {} ({})",
        key.columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", "),
        quote(&key.parent),
        key.parent_columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
    )
}

/// What the way back needs to make the column as it was, as a comment in JSON.
fn comment(
    column: &crate::schema::Column,
    planned: &PlannedColumn,
    in_key: bool,
    autoincrement: bool,
) -> String {
    let mut facts = serde_json::Map::new();
    facts.insert("type".to_owned(), column.declared.clone().into());
    if planned.target_name != column.name {
        facts.insert("name".to_owned(), column.name.clone().into());
    }
    if in_key && !column.not_null {
        facts.insert("nullable".to_owned(), true.into());
    }
    if column.identity && autoincrement {
        facts.insert("autoincrement".to_owned(), true.into());
    }
    if column.generated.as_ref().is_some_and(|rule| !rule.stored) {
        facts.insert("virtual".to_owned(), true.into());
    }
    let collation = match &column.collation {
        Collation::Binary => None,
        Collation::NoCase => Some("NOCASE".to_owned()),
        Collation::RTrim => Some("RTRIM".to_owned()),
        Collation::Other(name) => Some(name.clone()),
    };
    if let Some(collation) = collation {
        facts.insert("collate".to_owned(), collation.into());
    }
    json!({ "sqlite": facts }).to_string()
}

//! From PostgreSQL's schema and the decided columns to the definitions of the target.

use crate::plan::OptionalDdl;
use crate::plan::to_sqlite::PlannedColumn;
use crate::plan::to_sqlite::build::{DecidedTable, integer_key};
use crate::plan::to_sqlite::names::Names;
use crate::postgres::catalog::{Catalog, TableFacts};
use crate::schema::expression::{Collation, Expression};
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::schema::{ForeignKey, Index, IndexOver, IndexTerm, LeftOut, ObjectKind, Table};
use crate::sqlite::sql::ddl;
use crate::sqlite::sql::ddl::{ColumnDdl, ColumnKey, ForeignKeyDdl, TableDdl};
use crate::sqlite::sql::from_postgres::definitions::{
    condition, default_clause, generated, index_term,
};
use crate::sqlite::sql::from_postgres::node::{Kind, ScopeColumn};

/// Everything that defines one table in the target.
pub(crate) struct TableDefinition {
    pub(crate) ddl: TableDdl,
    pub(crate) indexes: Vec<OptionalDdl>,
    /// By the number of the foreign key: its rows need not all have parents.
    pub(crate) not_valid: Vec<bool>,
    /// The last value that the table's key has handed out.
    pub(crate) sequence: Option<i64>,
}

/// Makes definitions: one for all tables of a plan, as names must not collide between them.
pub(crate) struct Definitions<'a> {
    catalog: &'a Catalog,
    table_names: Vec<String>,
    column_names: Vec<Vec<String>>,
    kinds: Vec<Vec<Kind>>,
    names: Names,
    /// What could not be carried over.
    pub(crate) left_out: Vec<LeftOut>,
    /// Names that had to be changed.
    pub(crate) notes: Vec<String>,
}

impl<'a> Definitions<'a> {
    /// Gives the names: those that came from SQLite as they were there.
    pub(crate) fn new(catalog: &'a Catalog, decided: &[DecidedTable]) -> Self {
        let mut names = Names::default();
        let mut notes = Vec::new();
        let origin = |facts: &serde_json::Value, name: &str| {
            facts["name"].as_str().map_or_else(|| name.to_owned(), str::to_owned)
        };
        let mut table_names = Vec::new();
        let mut column_names = Vec::new();
        for table in &catalog.schema.tables {
            let facts = &catalog.facts[&table.name];
            let name = names.give(&origin(&facts.origin, &table.name));
            if name != table.name {
                notes.push(format!("table {} becomes {}", quote(&table.name), quote(&name)));
            }
            table_names.push(name);
            let mut own = Names::default();
            let mut given = Vec::new();
            for (column, facts) in table.columns.iter().zip(&facts.columns) {
                let name = own.give(&origin(&facts.origin, &column.name));
                if name != column.name {
                    notes.push(format!(
                        "column {} of table {} becomes {}",
                        quote(&column.name),
                        quote(&table.name),
                        quote(&name)
                    ));
                }
                given.push(name);
            }
            column_names.push(given);
        }
        let kinds = |table: &DecidedTable| table.columns.iter().map(|c| c.proposal.kind).collect();
        let kinds = decided.iter().map(kinds).collect();
        Self { catalog, table_names, column_names, kinds, names, left_out: Vec::new(), notes }
    }

    /// Defines one table.
    pub(crate) fn table(&mut self, place: usize, columns: &[PlannedColumn]) -> TableDefinition {
        let table = &self.catalog.schema.tables[place];
        let facts = &self.catalog.facts[&table.name];
        let key = column_key(table, facts, columns);
        let scope = self.scope(place);
        let mut definitions = Vec::with_capacity(columns.len());
        for (number, (column, planned)) in table.columns.iter().zip(columns).enumerate() {
            let origin = &facts.columns[number].origin;
            let own_key = key.filter(|(name, _)| *name == column.name).map(|(_, key)| key);
            let is_rowid = matches!(own_key, Some(ColumnKey::Rowid | ColumnKey::Autoincrement));
            let nullable = origin["nullable"].as_bool().unwrap_or(false);
            if column.identity && !is_rowid {
                self.list(
                    (ObjectKind::Default, table, &column.name, None),
                    "only the rowid hands out numbers in SQLite",
                );
            }
            let kind = planned.proposal.kind;
            let default = column.default.as_ref().and_then(|sql| {
                default_clause(sql, kind)
                    .map_err(|reason| {
                        let text = Some(sql.text.as_str());
                        self.list((ObjectKind::Default, table, &column.name, text), &reason);
                    })
                    .ok()
            });
            let generated = column.generated.as_ref().and_then(|rule| {
                generated(&rule.expression, kind, &scope)
                    .map(|sql| (sql, rule.stored && !origin["virtual"].as_bool().unwrap_or(false)))
                    .map_err(|reason| {
                        let text = Some(rule.expression.text.as_str());
                        let reason = format!("{reason}; it becomes a plain column with its values");
                        self.list(
                            (ObjectKind::GeneratedColumn, table, &column.name, text),
                            &reason,
                        );
                    })
                    .ok()
            });
            let collation = match (origin["collate"].as_str(), &column.collation) {
                (Some(name @ ("NOCASE" | "RTRIM")), _) => Some(name.to_owned()),
                (None, Collation::NoCase) => Some("NOCASE".to_owned()),
                _ => None,
            };
            definitions.push(ColumnDdl {
                name: self.column_names[place][number].clone(),
                declared: planned.proposal.declared.clone(),
                collation,
                not_null: column.not_null && !is_rowid && !nullable,
                default,
                generated,
                key: own_key,
            });
        }
        let strict = facts.origin["strict"].as_bool().unwrap_or(false)
            && definitions.iter().all(|column| is_strict_type(&column.declared));
        let checks = self.checks(place, &scope);
        let (foreign_keys, not_valid) = self.foreign_keys(place);
        let primary_key = match (&table.primary_key, key) {
            (Some(key), None) => {
                key.columns.iter().filter_map(|c| self.column(place, &c.name)).collect()
            }
            _ => Vec::new(),
        };
        let unique = |key: &crate::schema::Key| {
            key.columns.iter().filter_map(|column| self.column(place, &column.name)).collect()
        };
        let without_rowid =
            facts.origin["without_rowid"].as_bool().unwrap_or(false) && !primary_key.is_empty();
        let ddl = TableDdl {
            name: self.table_names[place].clone(),
            columns: definitions,
            primary_key,
            uniques: table.uniques.iter().map(unique).collect(),
            checks,
            foreign_keys,
            without_rowid,
            strict,
        };
        let automatic = matches!(key, Some((_, ColumnKey::Autoincrement)));
        let sequence = table.sequence.filter(|_| automatic);
        TableDefinition { ddl, indexes: self.indexes(place, &scope), not_valid, sequence }
    }

    fn list(
        &mut self,
        (kind, table, name, definition): (ObjectKind, &Table, &str, Option<&str>),
        reason: &str,
    ) {
        let left_out = LeftOut::part(kind, &table.name, name, definition);
        self.left_out.push(left_out.because(reason));
    }

    /// A column's name in the target.
    fn column(&self, place: usize, name: &str) -> Option<String> {
        let table = &self.catalog.schema.tables[place];
        let number = table.columns.iter().position(|column| column.name == name)?;
        Some(self.column_names[place][number].clone())
    }

    fn scope(&self, place: usize) -> Vec<ScopeColumn> {
        let table = &self.catalog.schema.tables[place];
        let all = table.columns.iter().zip(&self.column_names[place]).zip(&self.kinds[place]);
        all.map(|((column, target), kind)| ScopeColumn {
            name: column.name.clone(),
            target: target.clone(),
            kind: *kind,
        })
        .collect()
    }

    fn checks(&mut self, place: usize, scope: &[ScopeColumn]) -> Vec<(Option<String>, String)> {
        let table = &self.catalog.schema.tables[place];
        let mut checks = Vec::new();
        for check in &table.checks {
            match condition(&check.condition, scope) {
                Ok(condition) => checks.push((check.name.clone(), condition)),
                Err(reason) => {
                    let name = check.name.clone().unwrap_or_default();
                    let text = Some(check.condition.text.as_str());
                    self.list((ObjectKind::Check, table, &name, text), &reason);
                }
            }
        }
        checks
    }

    fn foreign_keys(&mut self, place: usize) -> (Vec<ForeignKeyDdl>, Vec<bool>) {
        let table = &self.catalog.schema.tables[place];
        let facts = &self.catalog.facts[&table.name];
        let (mut keys, mut not_valid) = (Vec::new(), Vec::new());
        for key in &table.foreign_keys {
            let name = key.name.clone().unwrap_or_default();
            match self.foreign_key(place, key) {
                Ok(ddl) => {
                    keys.push(ddl);
                    not_valid.push(facts.not_valid.contains(&name));
                }
                Err(reason) => self.list((ObjectKind::ForeignKey, table, &name, None), &reason),
            }
        }
        (keys, not_valid)
    }

    fn foreign_key(&self, child: usize, key: &ForeignKey) -> Result<ForeignKeyDdl, String> {
        let tables = &self.catalog.schema.tables;
        let parent = tables
            .iter()
            .position(|table| table.name == key.parent)
            .ok_or_else(|| format!("table {} is not copied", quote(&key.parent)))?;
        if !is_unique(&tables[parent], &key.parent_columns) {
            return Err("the columns it refers to have no unique key to refer to".to_owned());
        }
        let kind = |place: usize, name: &String| {
            let number = tables[place].columns.iter().position(|column| column.name == *name)?;
            self.kinds[place].get(number).copied()
        };
        let number = |kind| matches!(kind, Kind::Integer | Kind::Decimal | Kind::Real);
        for (from, to) in key.columns.iter().zip(&key.parent_columns) {
            let alike = match (kind(child, from), kind(parent, to)) {
                (Some(Kind::Text { .. }), Some(Kind::Text { .. })) => true,
                (Some(a), Some(b)) => a == b || number(a) && number(b),
                _ => false,
            };
            if !alike {
                return Err(format!(
                    "{} and {} arrive as values that do not compare",
                    quote(from),
                    quote(to)
                ));
            }
        }
        let columns = |place: usize, names: &[String]| {
            names.iter().filter_map(|name| self.column(place, name)).collect()
        };
        Ok(ForeignKeyDdl {
            name: key.name.clone(),
            columns: columns(child, &key.columns),
            parent: self.table_names[parent].clone(),
            parent_columns: columns(parent, &key.parent_columns),
            on_delete: key.on_delete,
            on_update: key.on_update,
            deferrable: key.deferrable,
        })
    }

    fn indexes(&mut self, place: usize, scope: &[ScopeColumn]) -> Vec<OptionalDdl> {
        let table = &self.catalog.schema.tables[place];
        let mut indexes = Vec::new();
        for index in &table.indexes {
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
            match self.index_parts(place, index, scope) {
                Ok((terms, filter)) => {
                    let name = self.names.give(&index.name);
                    if name != index.name {
                        let (old, new) = (quote(&index.name), quote(&name));
                        self.notes.push(format!("index {old} becomes {new}"));
                    }
                    let table_name = &self.table_names[place];
                    indexes.push(OptionalDdl {
                        what: format!("index {} on {}", quote(&name), quote(table_name)),
                        sql: ddl::create_index(
                            table_name,
                            &name,
                            index.unique,
                            &terms,
                            filter.as_deref(),
                        ),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        indexes
    }

    fn index_parts(
        &self,
        place: usize,
        index: &Index,
        scope: &[ScopeColumn],
    ) -> Result<(Vec<String>, Option<String>), Reason> {
        let terms: Result<Vec<String>, _> = index
            .terms
            .iter()
            .map(|term| {
                let folded = self.folded(place, term);
                index_term(folded.as_ref().unwrap_or(term), scope)
            })
            .collect();
        let filter = index.filter.as_ref();
        let filter = filter.map(|sql| condition(sql, scope)).transpose()?;
        Ok((terms?, filter))
    }

    /// Where a column was COLLATE NOCASE or RTRIM in SQLite and is again, the folded text that its
    /// index is over in PostgreSQL is the column itself.
    fn folded(&self, place: usize, term: &IndexTerm) -> Option<IndexTerm> {
        let IndexOver::Expression(sql) = &term.over else { return None };
        let Expression::Call(function, arguments) = sql.tree.as_ref()? else { return None };
        let mut column = arguments.first()?;
        while let Expression::Cast(inner, _) | Expression::Collate(inner, _) = column {
            column = inner;
        }
        let Expression::Column(name) = column else { return None };
        let table = &self.catalog.schema.tables[place];
        let number = table.columns.iter().position(|column| column.name == *name)?;
        let collation =
            self.catalog.facts[&table.name].columns[number].origin["collate"].as_str()?;
        let same =
            matches!((function.as_str(), collation), ("lower", "NOCASE") | ("rtrim", "RTRIM"));
        same.then(|| IndexTerm { over: IndexOver::Column(name.clone()), ..term.clone() })
    }
}

/// The column that is the primary key by itself, and how.
fn column_key<'a>(
    table: &'a Table,
    facts: &TableFacts,
    columns: &[PlannedColumn],
) -> Option<(&'a str, ColumnKey)> {
    let name = integer_key(table, facts)?;
    let number = table.columns.iter().position(|column| column.name == name)?;
    let column = &table.columns[number];
    let is_integer = columns.get(number)?.proposal.declared.eq_ignore_ascii_case("INTEGER");
    let origin = &facts.columns[number].origin;
    if !is_integer || facts.origin["without_rowid"].as_bool().unwrap_or(false) {
        return None;
    }
    let key = match (origin["type"].is_string(), column.identity) {
        (false, true) => ColumnKey::Autoincrement,
        (false, false) => ColumnKey::Rowid,
        (true, true) if origin["autoincrement"].as_bool().unwrap_or(false) => {
            ColumnKey::Autoincrement
        }
        (true, true) => ColumnKey::Rowid,
        (true, false) => ColumnKey::Descending,
    };
    Some((name, key))
}

/// The table has a key over exactly these columns.
fn is_unique(table: &Table, columns: &[String]) -> bool {
    let mut wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    let keys = table.primary_key.iter().chain(&table.uniques);
    let keys = keys.map(|key| key.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>());
    let indexes = table.indexes.iter().filter(|index| index.unique && index.filter.is_none());
    let indexes = indexes.filter_map(|index| {
        let names = index.terms.iter().map(|term| match &term.over {
            IndexOver::Column(name) => Some(name.as_str()),
            IndexOver::Expression(_) => None,
        });
        names.collect::<Option<Vec<_>>>()
    });
    keys.chain(indexes).any(|mut columns| {
        columns.sort_unstable();
        columns == wanted
    })
}

/// The types that STRICT tables take (<https://sqlite.org/stricttables.html>).
fn is_strict_type(declared: &str) -> bool {
    ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"]
        .iter()
        .any(|word| declared.eq_ignore_ascii_case(word))
}

//! The definition of one table.

use crate::plan::model::{PlannedColumn, PlannedTable};
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::decisions::{ColumnDecision, TableDecision};
use crate::plan::to_sqlite::model::{Enforced, OrderedRead, SqliteFinish, ToSqlite};
use crate::plan::to_sqlite::source_queries::integer_key;
use crate::postgres::catalog::model::TableFacts;
use crate::schema::expression::Collation;
use crate::schema::note::{MADE, fingerprint};
use crate::schema::{Index, Key, KeyColumn, ObjectKind, Table};
use crate::sqlite::sql::ddl::{ColumnDdl, ColumnKey, TableDdl};
use crate::sqlite::sql::declared_type::collation_named;
use crate::sqlite::sql::from_postgres::definitions::{clock_default, generated};
use crate::sqlite::sql::from_postgres::node::ScopeColumn;
use crate::sqlite::sql::parse::kept;
use serde_json::Value;

impl Definitions<'_> {
    /// Defines one table, without its queries. `qualified` is its name in the source.
    pub(crate) fn table(
        &mut self,
        index: usize,
        decision: TableDecision,
        qualified: String,
    ) -> PlannedTable<ToSqlite> {
        let TableDecision { columns: decisions, probe } = decision;
        let table = &self.catalog.schema.tables[index];
        let facts = &self.catalog.facts[&table.name];
        let key = column_key(table, facts, &decisions);
        let scope = self.scopes[index].clone();
        let columns: Vec<ColumnDdl> = (0..table.columns.len())
            .map(|number| self.column_ddl(index, number, &decisions[number], key, &scope))
            .collect();
        let (checks, lost_checks) = self.checks(index, &scope);
        let keys = table.primary_key.iter().map(|key| (ObjectKind::PrimaryKey, key));
        for (kind, key) in keys.chain(table.uniques.iter().map(|key| (ObjectKind::Unique, key))) {
            let name = key.name.as_deref().unwrap_or_default();
            self.list_loose_key((kind, index, name), key.names());
        }
        let (mut foreign_keys, mut enforced) = self.foreign_keys(index);
        foreign_keys.extend(self.lost_foreign_keys(index, &foreign_keys));
        enforced.resize(foreign_keys.len(), Enforced::Lost);
        let (primary_key, uniques) = self.keys(index, &columns);
        let flag = |name: &str| facts.origin[name].as_bool().unwrap_or(false);
        let ddl = TableDdl {
            name: self.table_names[index].clone(),
            strict: flag("strict") && columns.iter().all(|c| is_strict_type(&c.declared)),
            columns,
            without_rowid: flag("without_rowid") && primary_key.is_some() && key.is_none(),
            primary_key,
            uniques,
            checks,
            foreign_keys,
            original: None,
        };
        let indexes = self.indexes(index, &ddl.columns, &scope);
        let autoincrement = matches!(key, Some((_, ColumnKey::Autoincrement)));
        let names = |key: &Key| key.names().map(str::to_owned).collect();
        let key = table.primary_key.as_ref().map(names).unwrap_or_default();
        PlannedTable {
            name: table.name.clone(),
            ddl,
            columns: self.planned_columns(index, decisions),
            read: OrderedRead { qualified, queries: Vec::new(), widest: probe.widest, key },
            rows: probe.rows,
            bytes: 0,
            rejected: Vec::new(),
            indexes,
            finish: SqliteFinish {
                lost_checks,
                enforced,
                sequence: table.sequence.filter(|_| autoincrement),
            },
        }
    }

    fn column_ddl(
        &mut self,
        index: usize,
        number: usize,
        decision: &ColumnDecision,
        key: Option<(&str, ColumnKey)>,
        scope: &[ScopeColumn],
    ) -> ColumnDdl {
        let table = &self.catalog.schema.tables[index];
        let column = &table.columns[number];
        let origin = &self.catalog.facts[&table.name].columns[number].origin;
        let key = key.filter(|(name, _)| *name == column.name).map(|(_, key)| key);
        let is_rowid = matches!(key, Some(ColumnKey::Rowid | ColumnKey::Autoincrement));
        let flag = |name: &str| origin[name].as_bool().unwrap_or(false);
        let kind = decision.mapping.kind;
        if column.identity && !is_rowid {
            let reason = "SQLite generates numbers for the rowid only";
            self.list((ObjectKind::Default, table, &column.name, None), reason);
        }
        let rule = column.generated.as_ref();
        let expression = column.default.as_ref().or(rule.map(|rule| &rule.expression));
        let made = expression.map(|sql| fingerprint(&sql.text));
        // The original expression, unless the column has got another one since.
        let original =
            |fact: &str| origin[fact].as_str().filter(|_| made.as_deref() == origin[MADE].as_str());
        let kept = original("default").and_then(kept::default);
        let default = kept.or_else(|| {
            column.default.as_ref().and_then(|sql| {
                let refused = |reason: String| {
                    let text = Some(sql.text.as_str());
                    self.list((ObjectKind::Default, table, &column.name, text), &reason);
                };
                let value = match (is_rowid, decision.default.clone()) {
                    (true, _) => {
                        Err("is on the key, for which SQLite takes the next number".into())
                    }
                    (false, Some(constant)) => constant,
                    (false, None) => clock_default(sql, kind),
                };
                value.map_err(refused).ok()
            })
        });
        if let (None, Some(text)) = (rule, origin["generated"].as_str()) {
            let reason = "it is a plain column in PostgreSQL, and its values are copied";
            let named = (ObjectKind::GeneratedColumn, table, column.name.as_str(), Some(text));
            self.list(named, reason);
        }
        let generated = rule.and_then(|rule| {
            let refused = |reason: String| {
                let text = Some(rule.expression.text.as_str());
                let reason = format!("{reason}; it becomes a plain column with its values");
                self.list((ObjectKind::GeneratedColumn, table, &column.name, text), &reason);
            };
            let kept = original("generated").and_then(kept::expression);
            let sql = kept.map_or_else(|| generated(&rule.expression, kind, scope), Ok);
            Some((sql.map_err(refused).ok()?, rule.stored && !flag("virtual")))
        });
        let collation = match (origin["collate"].as_str(), &column.collation) {
            (Some(name @ ("NOCASE" | "RTRIM")), _) => Some(name.to_owned()),
            (Some(name), _) => {
                let reason =
                    format!("only the application defines the collation {name}; it becomes BINARY");
                self.list((ObjectKind::Column, table, &column.name, None), &reason);
                None
            }
            (None, Collation::NoCase) => Some("NOCASE".to_owned()),
            _ => None,
        };
        ColumnDdl {
            name: scope[number].target.clone(),
            declared: decision.mapping.declared.clone(),
            collation,
            not_null: column.not_null && !is_rowid && !flag("nullable"),
            conflict: serde_json::from_value(origin["not_null"].clone()).unwrap_or_default(),
            default,
            generated,
            key,
        }
    }

    /// The primary key and the unique keys, as they were in SQLite if they came from there. Where
    /// PostgreSQL has an index in place of a key, its note has the key.
    fn keys(&self, index: usize, columns: &[ColumnDdl]) -> (Option<Key>, Vec<Key>) {
        let table = &self.catalog.schema.tables[index];
        let facts = &self.catalog.facts[&table.name];
        let (mut primary, mut uniques) = (None, Vec::new());
        let mut add = |key: Key, is_primary: bool| match is_primary && primary.is_none() {
            true => primary = Some(key),
            false => uniques.push(key),
        };
        let constraints = table.primary_key.iter().map(|key| (key, true));
        let constraints = constraints.chain(table.uniques.iter().map(|key| (key, false)));
        for (key, is_primary) in constraints {
            let names = self.target_names(index, key.names());
            let origin = key.name.as_ref().and_then(|name| facts.constraints.get(name));
            let original = origin.and_then(original_key);
            let original = original.filter(|(original, _)| original.names().eq(&names));
            let plain = || {
                let column = |name: String| KeyColumn {
                    collation: collation_of(columns, &name),
                    name,
                    descending: false,
                };
                Key { columns: names.iter().cloned().map(column).collect(), ..Key::default() }
            };
            let (key, was_primary) = original.unwrap_or_else(|| (plain(), false));
            add(key, is_primary || was_primary);
        }
        for index in &table.indexes {
            if let Some((key, is_primary)) = original_index_key(facts, index, columns) {
                add(key, is_primary);
            }
        }
        (primary, uniques)
    }

    fn planned_columns(
        &self,
        index: usize,
        decisions: Vec<ColumnDecision>,
    ) -> Vec<PlannedColumn<ToSqlite>> {
        let columns = &self.catalog.schema.tables[index].columns;
        let columns = columns.iter().zip(&self.scopes[index]).zip(decisions);
        columns
            .map(|((column, ScopeColumn { target, .. }), decision)| PlannedColumn {
                name: column.name.clone(),
                target_name: target.clone(),
                declared: column.declared.clone(),
                conversions: Some(decision.negative_zeros)
                    .filter(|count| *count > 0)
                    .map(|count| ("negative zero becomes zero".into(), count))
                    .into_iter()
                    .collect(),
                reason: decision.mapping.reason.map(str::to_owned),
                needs_review: decision.needs_review,
                mapping: decision.mapping,
            })
            .collect()
    }
}

/// The key of a note, and whether it was the primary key.
fn original_key(origin: &Value) -> Option<(Key, bool)> {
    let key = serde_json::from_value(origin["key"].clone()).ok()?;
    Some((key, origin["primary"].as_bool().unwrap_or(false)))
}

/// The key of SQLite in place of which PostgreSQL has this index, if all its columns exist.
pub(crate) fn original_index_key(
    facts: &TableFacts,
    index: &Index,
    columns: &[ColumnDdl],
) -> Option<(Key, bool)> {
    let original = facts.indexes.get(&index.name).and_then(original_key);
    let exists = |name: &str| columns.iter().any(|column| column.name == name);
    original.filter(|(key, _)| index.unique && key.names().all(exists))
}

fn collation_of(columns: &[ColumnDdl], name: &str) -> Collation {
    let column = columns.iter().find(|column| column.name == name);
    let collation = column.and_then(|column| column.collation.as_deref());
    collation.map_or(Collation::Binary, collation_named)
}

/// The column that alone is the primary key, and its kind of key.
fn column_key<'a>(
    table: &'a Table,
    facts: &TableFacts,
    decisions: &[ColumnDecision],
) -> Option<(&'a str, ColumnKey)> {
    let name = integer_key(table, facts)?;
    let number = table.columns.iter().position(|column| column.name == name)?;
    let column = &table.columns[number];
    let is_integer = decisions.get(number)?.mapping.declared.eq_ignore_ascii_case("INTEGER");
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

/// The types that STRICT tables take (<https://sqlite.org/stricttables.html>).
fn is_strict_type(declared: &str) -> bool {
    ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"]
        .iter()
        .any(|word| declared.eq_ignore_ascii_case(word))
}

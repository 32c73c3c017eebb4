//! The definition of one table.

use crate::plan::model::{PlannedColumn, PlannedTable};
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::decisions::{ColumnDecision, TableDecision};
use crate::plan::to_sqlite::model::{OrderedRead, SqliteFinish, ToSqlite};
use crate::plan::to_sqlite::source_queries::integer_key;
use crate::postgres::catalog::model::TableFacts;
use crate::schema::expression::Collation;
use crate::schema::{Key, ObjectKind, Table};
use crate::sqlite::sql::ddl::{ColumnDdl, ColumnKey, TableDdl};
use crate::sqlite::sql::from_postgres::definitions::{clock_default, generated};
use crate::sqlite::sql::from_postgres::node::ScopeColumn;

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
        let checks = self.checks(index, &scope);
        let keys = table.primary_key.iter().map(|key| (ObjectKind::PrimaryKey, key));
        for (kind, key) in keys.chain(table.uniques.iter().map(|key| (ObjectKind::Unique, key))) {
            let name = key.name.as_deref().unwrap_or_default();
            self.list_loose_key((kind, index, name), key.names());
        }
        let (foreign_keys, not_valid) = self.foreign_keys(index);
        let names = |key: &Key| self.target_names(index, key.names());
        let table_key = table.primary_key.as_ref().filter(|_| key.is_none());
        let primary_key = table_key.map(names).unwrap_or_default();
        let flag = |name: &str| facts.origin[name].as_bool().unwrap_or(false);
        let ddl = TableDdl {
            name: self.table_names[index].clone(),
            strict: flag("strict") && columns.iter().all(|c| is_strict_type(&c.declared)),
            columns,
            without_rowid: flag("without_rowid") && !primary_key.is_empty(),
            primary_key,
            uniques: table.uniques.iter().map(names).collect(),
            checks,
            foreign_keys,
        };
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
            indexes: self.indexes(index, &scope),
            finish: SqliteFinish { not_valid, sequence: table.sequence.filter(|_| autoincrement) },
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
        let default = column.default.as_ref().and_then(|sql| {
            let refused = |reason: String| {
                let text = Some(sql.text.as_str());
                self.list((ObjectKind::Default, table, &column.name, text), &reason);
            };
            let value = match (is_rowid, decision.default.clone()) {
                (true, _) => Err("is on the key, for which SQLite takes the next number".into()),
                (false, Some(constant)) => constant,
                (false, None) => clock_default(sql, kind),
            };
            value.map_err(refused).ok()
        });
        let generated = column.generated.as_ref().and_then(|rule| {
            let refused = |reason: String| {
                let text = Some(rule.expression.text.as_str());
                let reason = format!("{reason}; it becomes a plain column with its values");
                self.list((ObjectKind::GeneratedColumn, table, &column.name, text), &reason);
            };
            let sql = generated(&rule.expression, kind, scope);
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
            default,
            generated,
            key,
        }
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

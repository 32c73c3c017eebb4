//! Indexes and CHECKs of one table, where SQLite can have them.

use crate::plan::model::OptionalDdl;
use crate::plan::texts::renamed;
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::ddl::tables::original_index_key;
use crate::schema::ddl::create_index;
use crate::schema::expression::Expression;
use crate::schema::names::quote;
use crate::schema::note::{MADE, fingerprint, fingerprint_of_index};
use crate::schema::reason::Reason;
use crate::schema::{Index, IndexOver, IndexTerm, LeftOut, ObjectKind};
use crate::sqlite::sql::ddl::ColumnDdl;
use crate::sqlite::sql::from_postgres::definitions::{condition, index_term};
use crate::sqlite::sql::from_postgres::node::ScopeColumn;
use crate::sqlite::sql::parse::kept;
use serde_json::Value;

impl Definitions<'_> {
    /// The CHECKs of a table: their names and conditions. The last ones are those that PostgreSQL
    /// lacks, with their number.
    pub(crate) fn checks(
        &mut self,
        index: usize,
        scope: &[ScopeColumn],
    ) -> (Vec<(Option<String>, String)>, usize) {
        let table = &self.catalog.schema.tables[index];
        let facts = &self.catalog.facts[&table.name];
        let mut checks = Vec::new();
        for check in &table.checks {
            let origin = check.name.as_ref().and_then(|name| facts.constraints.get(name));
            let made = fingerprint(&check.condition.text);
            let origin = origin.filter(|origin| origin[MADE] == made.as_str());
            if let Some(original) = origin.and_then(original_check) {
                checks.push(original);
                continue;
            }
            match condition(&check.condition, scope) {
                Ok(condition) => checks.push((check.name.clone(), condition)),
                Err(reason) => {
                    let name = check.name.clone().unwrap_or_default();
                    let text = Some(check.condition.text.as_str());
                    self.list((ObjectKind::Check, table, &name, text), &reason);
                }
            }
        }
        let kept = checks.len();
        for (name, text) in facts.lost().iter().filter_map(original_check) {
            match self.missing_column([index], &text) {
                None => checks.push((name, text)),
                Some(reason) => {
                    let name = name.unwrap_or_default();
                    self.list((ObjectKind::Check, table, &name, Some(&text)), &reason);
                }
            }
        }
        let lost = checks.len() - kept;
        (checks, lost)
    }

    /// The indexes of a table with these columns.
    pub(crate) fn indexes(
        &mut self,
        owner: usize,
        columns: &[ColumnDdl],
        scope: &[ScopeColumn],
    ) -> Vec<OptionalDdl> {
        let table = &self.catalog.schema.tables[owner];
        let facts = &self.catalog.facts[&table.name];
        let mut indexes = Vec::new();
        for index in &table.indexes {
            if original_index_key(facts, index, columns).is_some() {
                continue;
            }
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
            let origin = facts.indexes.get(&index.name).unwrap_or(&Value::Null);
            let made = fingerprint_of_index(&index.definition);
            let original = origin["index"].as_str().filter(|_| origin[MADE] == made.as_str());
            let created = original.and_then(kept::created).filter(|created| {
                let target_name = origin["target_name"].as_str().unwrap_or(&created.name);
                created.table == self.table_names[owner]
                    && target_name == index.name
                    && self.names.take(&created.name)
            });
            if let (Some(sql), Some(created)) = (original, created) {
                let what = format!("index {} on {}", quote(&created.name), quote(&created.table));
                let sql = sql.to_owned();
                indexes.push(OptionalDdl { what, sql, note: None, name: created.name, left_out });
                continue;
            }
            match self.index_parts(owner, index, scope) {
                Ok((terms, filter)) => {
                    let columns = index.terms.iter().filter_map(IndexTerm::column);
                    if index.unique {
                        self.list_loose_key((kind, owner, &index.name), columns);
                    }
                    let name = self.names.allocate(&index.name);
                    self.notes.extend(renamed("index", &index.name, &name));
                    let table_name = &self.table_names[owner];
                    indexes.push(OptionalDdl {
                        what: format!("index {} on {}", quote(&name), quote(table_name)),
                        sql: create_index(
                            &quote(table_name),
                            &name,
                            index.unique,
                            &terms,
                            filter.as_deref(),
                        ),
                        note: None,
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
        owner: usize,
        index: &Index,
        scope: &[ScopeColumn],
    ) -> Result<(Vec<String>, Option<String>), Reason> {
        let terms: Result<Vec<String>, _> = index
            .terms
            .iter()
            .map(|term| {
                let folded = self.folded(owner, term);
                index_term(folded.as_ref().unwrap_or(term), scope)
            })
            .collect();
        let filter = index.filter.as_ref();
        let filter = filter.map(|sql| condition(sql, scope)).transpose()?;
        Ok((terms?, filter))
    }

    /// The plain column in place of its folded text. A column that was COLLATE NOCASE or RTRIM in
    /// SQLite is so again, and PostgreSQL had its index over the folded text.
    fn folded(&self, owner: usize, term: &IndexTerm) -> Option<IndexTerm> {
        let IndexOver::Expression(sql) = &term.over else { return None };
        let Expression::Call(function, arguments) = sql.tree.as_ref()? else { return None };
        let mut column = arguments.first()?;
        while let Expression::Cast(inner, _) | Expression::Collate(inner, _) = column {
            column = inner;
        }
        let Expression::Column(name) = column else { return None };
        let table = &self.catalog.schema.tables[owner];
        let number = table.columns.iter().position(|column| column.name == *name)?;
        let collation =
            self.catalog.facts[&table.name].columns[number].origin["collate"].as_str()?;
        let same =
            matches!((function.as_str(), collation), ("lower", "NOCASE") | ("rtrim", "RTRIM"));
        same.then(|| IndexTerm { over: IndexOver::Column(name.clone()), ..term.clone() })
    }
}

/// The name and the condition of a CHECK of a note.
fn original_check(origin: &Value) -> Option<(Option<String>, String)> {
    let check = &origin["check"];
    let condition = kept::expression(check["text"].as_str()?)?;
    Some((check["name"].as_str().map(str::to_owned), condition))
}

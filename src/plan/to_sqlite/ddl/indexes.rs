//! Indexes and CHECKs of one table, where SQLite can have them.

use crate::plan::model::OptionalDdl;
use crate::plan::texts::renamed;
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::schema::ddl::create_index;
use crate::schema::expression::Expression;
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::schema::{Index, IndexOver, IndexTerm, LeftOut, ObjectKind};
use crate::sqlite::sql::from_postgres::definitions::{condition, index_term};
use crate::sqlite::sql::from_postgres::node::ScopeColumn;

impl Definitions<'_> {
    /// The CHECKs of a table: their names and conditions.
    pub(crate) fn checks(
        &mut self,
        index: usize,
        scope: &[ScopeColumn],
    ) -> Vec<(Option<String>, String)> {
        let table = &self.catalog.schema.tables[index];
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

    /// The indexes of a table.
    pub(crate) fn indexes(&mut self, owner: usize, scope: &[ScopeColumn]) -> Vec<OptionalDdl> {
        let table = &self.catalog.schema.tables[owner];
        let mut indexes = Vec::new();
        for index in &table.indexes {
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
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

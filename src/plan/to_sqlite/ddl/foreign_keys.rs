//! Foreign keys, where SQLite can have them.

use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::model::Enforced;
use crate::schema::names::quote;
use crate::schema::{ForeignKey, ObjectKind, Table};
use crate::sqlite::sql::from_postgres::node::Kind;
use serde_json::Value;

impl Definitions<'_> {
    /// The foreign keys of a table that PostgreSQL has.
    pub(crate) fn foreign_keys(&mut self, index: usize) -> (Vec<ForeignKey>, Vec<Enforced>) {
        let table = &self.catalog.schema.tables[index];
        let facts = &self.catalog.facts[&table.name];
        let (mut keys, mut enforced) = (Vec::new(), Vec::new());
        for key in &table.foreign_keys {
            let name = key.name.clone().unwrap_or_default();
            match self.foreign_key(index, key) {
                Ok((ddl, may_be_broken)) => {
                    keys.push(ddl);
                    enforced.push(match may_be_broken || facts.not_valid.contains(&name) {
                        true => Enforced::NotValid,
                        false => Enforced::Valid,
                    });
                }
                Err(reason) => self.list((ObjectKind::ForeignKey, table, &name, None), &reason),
            }
        }
        (keys, enforced)
    }

    /// The foreign keys that PostgreSQL cannot have, from the note of the table.
    pub(crate) fn lost_foreign_keys(
        &mut self,
        index: usize,
        kept: &[ForeignKey],
    ) -> Vec<ForeignKey> {
        let table = &self.catalog.schema.tables[index];
        let mut lost = Vec::new();
        for key in self.catalog.facts[&table.name].lost().iter().filter_map(original) {
            let is_column = |name: &String| self.scopes[index].iter().any(|c| c.target == *name);
            let clause = key.clause();
            if kept.iter().any(|kept| kept.clause() == clause) {
                continue;
            }
            if self.table_names.contains(&key.parent) && key.columns.iter().all(is_column) {
                lost.push(key);
                continue;
            }
            let named = (ObjectKind::ForeignKey, table, clause.as_str(), Some(clause.as_str()));
            self.list(named, "its columns or its parent table are missing in PostgreSQL");
        }
        lost
    }

    /// A foreign key, and whether rows may break it in SQLite alone.
    fn foreign_key(&self, child: usize, key: &ForeignKey) -> Result<(ForeignKey, bool), String> {
        let tables = &self.catalog.schema.tables;
        let parent = tables
            .iter()
            .position(|table| table.name == key.parent)
            .ok_or_else(|| format!("table {} is not copied", quote(&key.parent)))?;
        let columns = |index: usize, names: &[String]| {
            self.target_names(index, names.iter().map(String::as_str))
        };
        let ddl = ForeignKey {
            columns: columns(child, &key.columns),
            parent: self.table_names[parent].clone(),
            parent_columns: columns(parent, &key.parent_columns),
            ..key.clone()
        };
        let comparable = self.check_comparable(child, parent, key);
        let constraints = &self.catalog.facts[&tables[child].name].constraints;
        let origin = key.name.as_ref().and_then(|name| original(constraints.get(name)?));
        if let Some(origin) = origin.filter(|origin| origin.clause() == ddl.clause()) {
            return Ok((ForeignKey { name: origin.name, ..ddl }, comparable.is_err()));
        }
        comparable.map(|()| (ddl, false))
    }

    /// Whether SQLite compares the values of a foreign key as PostgreSQL does.
    fn check_comparable(
        &self,
        child: usize,
        parent: usize,
        key: &ForeignKey,
    ) -> Result<(), String> {
        if !is_unique(&self.catalog.schema.tables[parent], &key.parent_columns) {
            return Err("the parent's columns have no unique key".to_owned());
        }
        let kind = |index: usize, name: &str| Some(self.column(index, name)?.kind);
        for (from, to) in key.columns.iter().zip(&key.parent_columns) {
            let alike = match (kind(child, from), kind(parent, to)) {
                (Some(Kind::Text { .. }), Some(Kind::Text { .. })) => true,
                (Some(a), Some(b)) => a == b || a.is_number() && b.is_number(),
                _ => false,
            };
            if !alike || self.has_several_texts(child, from) {
                let (from, to) = (quote(from), quote(to));
                return Err(format!("the values of {from} and {to} cannot be compared in SQLite"));
            }
        }
        Ok(())
    }
}

/// The foreign key of a note.
fn original(origin: &Value) -> Option<ForeignKey> {
    serde_json::from_value(origin["foreign_key"].clone()).ok()
}

/// Whether the table has a key over exactly these columns.
fn is_unique(table: &Table, columns: &[String]) -> bool {
    let mut wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    table.unique_columns().into_iter().any(|mut columns| {
        columns.sort_unstable();
        columns == wanted
    })
}

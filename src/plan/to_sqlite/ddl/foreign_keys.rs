//! Foreign keys, where SQLite can have them.

use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::schema::names::quote;
use crate::schema::{ForeignKey, ObjectKind, Table};
use crate::sqlite::sql::from_postgres::node::Kind;

impl Definitions<'_> {
    /// The foreign keys of a table, and for each whether rows without a parent are allowed.
    pub(crate) fn foreign_keys(&mut self, index: usize) -> (Vec<ForeignKey>, Vec<bool>) {
        let table = &self.catalog.schema.tables[index];
        let facts = &self.catalog.facts[&table.name];
        let (mut keys, mut not_valid) = (Vec::new(), Vec::new());
        for key in &table.foreign_keys {
            let name = key.name.clone().unwrap_or_default();
            match self.foreign_key(index, key) {
                Ok(ddl) => {
                    keys.push(ddl);
                    not_valid.push(facts.not_valid.contains(&name));
                }
                Err(reason) => self.list((ObjectKind::ForeignKey, table, &name, None), &reason),
            }
        }
        (keys, not_valid)
    }

    fn foreign_key(&self, child: usize, key: &ForeignKey) -> Result<ForeignKey, String> {
        let tables = &self.catalog.schema.tables;
        let parent = tables
            .iter()
            .position(|table| table.name == key.parent)
            .ok_or_else(|| format!("table {} is not copied", quote(&key.parent)))?;
        if !is_unique(&tables[parent], &key.parent_columns) {
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
                return Err(format!(
                    "the values of {} and {} cannot be compared in SQLite",
                    quote(from),
                    quote(to)
                ));
            }
        }
        let columns = |index: usize, names: &[String]| {
            self.target_names(index, names.iter().map(String::as_str))
        };
        Ok(ForeignKey {
            columns: columns(child, &key.columns),
            parent: self.table_names[parent].clone(),
            parent_columns: columns(parent, &key.parent_columns),
            ..key.clone()
        })
    }
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

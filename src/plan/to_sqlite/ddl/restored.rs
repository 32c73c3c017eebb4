//! Indexes, views and triggers that PostgreSQL cannot have, or has in another form: the notes have
//! their original definitions.

use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::model::Restored;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::sql::parse::kept::{self, Created};

impl Definitions<'_> {
    /// The objects to restore, indexes first and triggers last. Those that cannot return are listed.
    pub(crate) fn restored(&mut self) -> Vec<Restored> {
        let schema = &self.catalog.schema;
        let mut restored = Vec::new();
        let tables = schema.tables.iter().enumerate();
        let lost = tables.flat_map(|(owner, table)| {
            self.catalog.facts[&table.name].lost().iter().map(move |origin| (owner, origin))
        });
        let mut left_out = Vec::new();
        for (owner, origin) in lost {
            let text = |fact: &str| origin[fact].as_str();
            if let Some(sql) = text("index").or(text("view")).or(text("trigger")) {
                let tables = match text("index") {
                    Some(_) => owner..owner + 1,
                    None => 0..schema.tables.len(),
                };
                let missing = self.missing_column(tables, sql);
                let object = self.object(sql, &mut left_out);
                match (object, missing) {
                    (Some(object), Some(reason)) => left_out.push(object.left_out.because(reason)),
                    (object, _) => restored.extend(object),
                }
            }
            // Its rows are not in PostgreSQL.
            if let Some(sql) = text("virtual_table") {
                let name = text("name").unwrap_or_default();
                let left = LeftOut::object(ObjectKind::VirtualTable, name, Some(sql));
                left_out
                    .push(left.because("PostgreSQL could not have it, so its rows are missing"));
            }
        }
        for view in &schema.views {
            restored.extend(self.object(&view.definition, &mut left_out));
        }
        self.left_out.append(&mut left_out);
        restored.sort_by_key(|one| match one.left_out.kind {
            ObjectKind::Index => 0,
            ObjectKind::View => 1,
            _ => 2,
        });
        restored
    }

    fn object(&mut self, sql: &str, left_out: &mut Vec<LeftOut>) -> Option<Restored> {
        let Created { kind, name, table, event } = kept::created(sql)?;
        let entry = match table.as_str() {
            "" => LeftOut::object(kind, &name, Some(sql)),
            table => LeftOut::part(kind, table, &name, Some(sql)),
        };
        if kind != ObjectKind::Trigger && !self.names.take(&name) {
            left_out.push(entry.because("another object has its name"));
            return None;
        }
        // SQLite creates views and triggers that name missing objects, and fails when they are used.
        let probe = match (kind, event) {
            (ObjectKind::View, _) => format!("SELECT * FROM {}", quote(&name)),
            (_, "INSERT") => format!("EXPLAIN INSERT INTO {} DEFAULT VALUES", quote(&table)),
            (_, "DELETE") => format!("EXPLAIN DELETE FROM {}", quote(&table)),
            (_, "UPDATE") => self.probe_update(&table).unwrap_or_default(),
            _ => String::new(),
        };
        Some(Restored { sql: sql.to_owned(), probe, left_out: entry })
    }

    /// An UPDATE of all columns; `None` if it is not a table.
    fn probe_update(&self, table: &str) -> Option<String> {
        let index = self.table_names.iter().position(|name| name == table)?;
        let columns = self.catalog.schema.tables[index].columns.iter().zip(&self.scopes[index]);
        let written = columns.filter(|(column, _)| column.generated.is_none());
        let set = written.map(|(_, scope)| format!("{0} = {0}", quote(&scope.target)));
        let set = set.collect::<Vec<_>>().join(", ");
        Some(format!("EXPLAIN UPDATE {} SET {set}", quote(table)))
    }
}

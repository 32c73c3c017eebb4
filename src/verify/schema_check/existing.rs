//! The schema that the target has, from its catalog.

use crate::error::Result;
use crate::postgres::catalog::sequences;
use crate::schema::{Schema, Table};
use crate::verify::schema_check::expected::Expected;
use crate::{postgres, sqlite};
use ::postgres::Client;
use std::collections::HashSet;

pub(crate) struct Existing {
    /// The schema. `sequence` of a table is the key before the next one, where keys are generated
    /// and never reused. `left_out` are objects that are not in force or not part of a table.
    pub(crate) schema: Schema,
    /// The foreign keys that are NOT VALID: table and name.
    pub(crate) not_valid: HashSet<(String, String)>,
    pub(crate) folds_case: bool,
}

impl Existing {
    /// Reads a schema of PostgreSQL. Sequences are read only of tables whose keys are expected.
    pub(crate) fn read_postgres(
        client: &mut Client,
        schema: &str,
        expected: &Expected,
    ) -> Result<Self> {
        let mut catalog = postgres::catalog::read_all(client, schema)?;
        let mut not_valid = HashSet::new();
        for (table, facts) in &catalog.facts {
            not_valid.extend(facts.not_valid.iter().map(|key| (table.clone(), key.clone())));
        }
        for wanted in expected.tables.iter().filter_map(|table| table.target.as_ref()) {
            let Some(key) = wanted.columns.iter().find(|column| column.identity) else { continue };
            let tables = &mut catalog.schema.tables;
            let Some(table) = tables.iter_mut().find(|table| table.name == wanted.name) else {
                continue;
            };
            let facts = catalog.facts.get(&table.name).map(|facts| &facts.columns);
            let columns = table.columns.iter().zip(facts.into_iter().flatten());
            let sequence = columns
                .filter(|(column, _)| column.name == key.name)
                .find_map(|(_, facts)| facts.sequence.as_deref());
            if let Some(sequence) = sequence {
                table.sequence = Some(sequences::value_before_next(client, sequence)?);
            }
        }
        Ok(Self { schema: catalog.schema, not_valid, folds_case: false })
    }

    /// Takes the schema of a SQLite file from its catalog.
    pub(crate) fn from_sqlite(catalog: &sqlite::catalog::model::Catalog) -> Self {
        let mut schema = catalog.schema.clone();
        for table in &mut schema.tables {
            let automatic = catalog.facts.get(&table.name).is_some_and(|facts| facts.autoincrement);
            table.sequence = automatic.then(|| table.sequence.unwrap_or(0));
        }
        Self { schema, not_valid: HashSet::new(), folds_case: true }
    }

    pub(crate) fn same_name(&self, one: &str, other: &str) -> bool {
        if self.folds_case { one.eq_ignore_ascii_case(other) } else { one == other }
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.schema.tables.iter().find(|table| self.same_name(&table.name, name))
    }
}

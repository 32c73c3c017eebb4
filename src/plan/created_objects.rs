//! What a run made in the target, so that a later one can take just that away again.

use crate::error::Result;
use crate::plan::Plan;
use crate::postgres::catalog::target_objects;
use crate::postgres::catalog::target_objects::{CatalogObject, ObjectClass};
use postgres::GenericClient;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tables and views of a data set in the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CreatedObjects {
    /// Tables, each with its number on the server: another table of the name is not ours.
    tables: BTreeMap<String, i64>,
    /// Views; they are made last, and known by their names.
    views: Vec<String>,
}

impl CreatedObjects {
    /// What `plan` makes, once its tables are there.
    pub(crate) fn by(plan: &Plan, client: &mut impl GenericClient) -> Result<Self> {
        let names = plan.table_names();
        let existing = target_objects::existing(client, &plan.schema)?;
        let ours = |thing: &&CatalogObject| {
            thing.kind == ObjectClass::Table && names.contains(&thing.name)
        };
        Ok(Self {
            tables: existing.iter().filter(ours).map(|t| (t.name.clone(), t.oid)).collect(),
            views: plan.views.iter().map(|view| view.name.clone()).collect(),
        })
    }

    /// `thing` is one of them, or goes with one.
    pub(crate) fn has(&self, thing: &CatalogObject) -> bool {
        if let Some(table) = thing.owner_oid {
            return self.tables.values().any(|oid| *oid == table);
        }
        match thing.kind {
            ObjectClass::Table => self.tables.get(&thing.name) == Some(&thing.oid),
            ObjectClass::View => self.views.contains(&thing.name),
            _ => false,
        }
    }
}

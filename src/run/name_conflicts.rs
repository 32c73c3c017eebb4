//! Name conflicts between data sets that share a target schema.

use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::names::quote;
use std::collections::HashMap;

/// The maximum of conflicts that are named.
const MAX_NAMED: usize = 20;

/// Refuses plans that would create tables, views, keys or indexes of the same name in the same
/// schema. Each plan comes with the identity of its schema.
pub(crate) fn refuse_name_conflicts<'a>(
    plans: impl Iterator<Item = (&'a str, &'a Plan<ToPostgres>)>,
) -> Result<()> {
    let mut creators: HashMap<(&str, &str), &str> = HashMap::new();
    let mut conflicts = Vec::new();
    for (schema_id, plan) in plans {
        for (kind, name) in names(plan) {
            if let Some(other) = creators.insert((schema_id, name), &plan.data_set) {
                let name = quote(name);
                conflicts.push(format!("{kind} {name} is in {other} and in {}", plan.data_set));
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    let error = Error::refused("two data sets would create objects of the same name in one schema");
    let error = conflicts.into_iter().take(MAX_NAMED).fold(error, Error::caused_by);
    Err(error.hint(
        "give each data set its own schema (?options=-csearch_path=NAME in its URL) or its own \
         database",
    ))
}

fn names(plan: &Plan<ToPostgres>) -> impl Iterator<Item = (&'static str, &str)> {
    let tables = plan.tables.iter().map(|table| ("table", table.ddl.name.as_str()));
    let keys = plan.tables.iter().flat_map(|table| &table.finish.keys);
    let indexes = plan.tables.iter().flat_map(|table| &table.indexes);
    tables
        .chain(plan.objects.views.iter().map(|view| ("view", view.name.as_str())))
        .chain(keys.map(|key| ("key", key.name.as_str())))
        .chain(indexes.map(|index| ("index", index.name.as_str())))
}

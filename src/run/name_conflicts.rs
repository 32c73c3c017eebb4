//! Data sets that share a schema of the target: no two of them may make something of one name.

use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::names::quote;
use std::collections::HashMap;

/// Refuses plans into one place (a server, database and schema) that would create tables, views,
/// keys or indexes of one name.
pub(crate) fn refuse_shared_names<'a>(
    plans: impl Iterator<Item = (&'a str, &'a Plan<ToPostgres>)>,
) -> Result<()> {
    let mut makers: HashMap<(&str, &str), &str> = HashMap::new();
    let mut shared = Vec::new();
    for (place, plan) in plans {
        for (kind, name) in names(plan) {
            if let Some(other) = makers.insert((place, name), &plan.data_set) {
                let name = quote(name);
                shared.push(format!("{kind} {name} is in {other} and in {}", plan.data_set));
            }
        }
    }
    if shared.is_empty() {
        return Ok(());
    }
    let error = Error::refused("two data sets would make things of one name in one schema");
    let error = shared.into_iter().take(20).fold(error, Error::caused_by);
    Err(error.hint(
        "give each data set a schema of its own: ?options=-csearch_path=NAME in its URL, or a \
         database of its own",
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

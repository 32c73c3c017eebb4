//! Names for SQLite, which ignores case, has one namespace for tables and indexes, and reserves
//! names that begin with `sqlite_`.

use crate::postgres::catalog::model::Catalog;
use crate::sqlite::sql::parse::kept;
use serde_json::Value;
use std::collections::HashSet;
use xxhash_rust::xxh3::xxh3_64;

/// The name that a table or column had in SQLite, from its comment's facts; else `name`.
pub(crate) fn original_name(origin: &Value, name: &str) -> String {
    origin["name"].as_str().unwrap_or(name).to_owned()
}

/// Allocates names, each once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Takes `name` if it is free.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.to_ascii_lowercase())
    }

    /// `wanted`, or `wanted` with a suffix that is the same in every run.
    pub(crate) fn allocate(&mut self, wanted: &str) -> String {
        let folded = wanted.to_ascii_lowercase();
        let own = if folded.starts_with("sqlite_") { "_" } else { "" };
        if own.is_empty() && self.taken.insert(folded) {
            return wanted.to_owned();
        }
        let mut round = 0_u32;
        loop {
            let hash = xxh3_64(format!("{round}{wanted}").as_bytes());
            let name = format!("{own}{wanted}_{:08x}", hash as u32);
            if self.taken.insert(name.to_ascii_lowercase()) {
                return name;
            }
            round += 1;
        }
    }
}

/// The tables' names in the target, and the same names as taken.
pub(crate) fn table_names(catalog: &Catalog) -> (Names, Vec<String>) {
    let mut names = Names::default();
    let tables = catalog.schema.tables.iter();
    let given = tables.map(|table| {
        names.allocate(&original_name(&catalog.facts[&table.name].origin, &table.name))
    });
    let given = given.collect();
    (names, given)
}

/// The names of the views that return from notes.
pub(crate) fn view_names(catalog: &Catalog) -> Vec<String> {
    let tables = catalog.schema.tables.iter();
    let lost = tables.flat_map(|table| catalog.facts[&table.name].lost());
    let lost = lost.filter_map(|origin| origin["view"].as_str());
    let views = catalog.schema.views.iter().map(|view| view.definition.as_str());
    views.chain(lost).filter_map(kept::created).map(|created| created.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_get_a_suffix() {
        let mut names = Names::default();
        assert_eq!(names.allocate("Users"), "Users");
        let other = names.allocate("users");
        assert!(other.starts_with("users_"), "{other}");
        assert!(names.allocate("sqlite_x").starts_with("_sqlite_x_"));
        assert_eq!(Names::default().allocate("É"), "É");
    }
}

//! What the plan promised beside rows: keys, NOT NULL, foreign keys, checks, indexes, and keys
//! that go on where they were. The target is asked, not the memory of what was done.

use crate::plan::model::PlannedTable;
use crate::plan::to_sqlite::model::ToSqlite;
use crate::schema::names::quote;
use crate::schema::{Index, IndexOver, Table};
use crate::sqlite::catalog::Catalog;
use crate::sqlite::sql::ddl::ColumnKey;

/// What a table of the target does not hold of what was planned.
pub(crate) fn broken(
    planned: &PlannedTable<ToSqlite>,
    table: &Table,
    catalog: &Catalog,
) -> Vec<String> {
    let mut broken = Vec::new();
    let of = quote(&planned.name);
    let ddl = &planned.ddl;
    let own = ddl.columns.iter().filter(|column| column.key.is_some()).map(|c| c.name.clone());
    let primary: Vec<String> = own.chain(ddl.primary_key.iter().cloned()).collect();
    let names = |key: &crate::schema::Key| -> Vec<String> {
        key.columns.iter().map(|column| column.name.clone()).collect()
    };
    let there = table.primary_key.as_ref().map(names).unwrap_or_default();
    if !primary.is_empty() && !same(&there, &primary) {
        broken.push(format!("the primary key of {of} is missing or another one"));
    }
    let indexes = table.indexes.iter().filter(|index| index.unique && index.filter.is_none());
    let unique: Vec<Vec<String>> =
        table.uniques.iter().map(names).chain(indexes.filter_map(plain)).collect();
    for wanted in &ddl.uniques {
        if !unique.iter().chain([&there]).any(|there| same(there, wanted)) {
            broken.push(format!("the unique key ({}) of {of} is missing", wanted.join(", ")));
        }
    }
    for column in ddl.columns.iter().filter(|column| column.not_null) {
        let there = |c: &&crate::schema::Column| c.name.eq_ignore_ascii_case(&column.name);
        if table.columns.iter().find(there).is_some_and(|there| !there.not_null) {
            broken.push(format!("column {} of {of} takes NULL", quote(&column.name)));
        }
    }
    for key in &ddl.foreign_keys {
        let held = table.foreign_keys.iter().any(|there| {
            same(&there.columns, &key.columns)
                && there.parent.eq_ignore_ascii_case(&key.parent)
                && same(&there.parent_columns, &key.parent_columns)
        });
        if !held {
            let columns = key.columns.join(", ");
            broken.push(format!("the foreign key ({columns}) of {of} is missing"));
        }
    }
    if table.checks.len() < ddl.checks.len() {
        let (there, wanted) = (table.checks.len(), ddl.checks.len());
        broken.push(format!("{of} has {there} of {wanted} checks"));
    }
    for index in &planned.indexes {
        if !table.indexes.iter().any(|there| there.name.eq_ignore_ascii_case(&index.name)) {
            broken.push(format!("{} is missing", index.what));
        }
    }
    let automatic = ddl.columns.iter().any(|c| c.key == Some(ColumnKey::Autoincrement));
    let facts = catalog.facts.get(&table.name);
    if automatic && !facts.is_some_and(|facts| facts.autoincrement) {
        broken.push(format!("the key of {of} is not AUTOINCREMENT"));
    } else if automatic && table.sequence.unwrap_or(0) < planned.finish.sequence.unwrap_or(0) {
        broken.push(format!("the next key of {of} would be one that was handed out before"));
    }
    broken
}

/// The columns of an index over nothing else.
fn plain(index: &Index) -> Option<Vec<String>> {
    let name = |over: &IndexOver| match over {
        IndexOver::Column(name) => Some(name.clone()),
        IndexOver::Expression(_) => None,
    };
    index.terms.iter().map(|term| name(&term.over)).collect()
}

/// The same names, whatever their order and case.
fn same(one: &[String], other: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names
    };
    sorted(one) == sorted(other)
}

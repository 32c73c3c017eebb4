//! Comments on tables and columns: JSON with SQLite's facts, for a later run back to SQLite.

use crate::plan::model::PlannedColumn;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::Column;
use crate::schema::expression::Collation;
use crate::schema::note::Note;
use serde_json::{Map, Value, json};

impl Definitions<'_> {
    /// The comment on a table, if there are facts to keep.
    pub(crate) fn table_comment(&self, index: usize) -> Option<String> {
        let name = &self.schema().tables[index].name;
        let file = &self.catalog.file;
        let facts = kept([
            ("file", (!file.is_empty()).then(|| file.to_json())),
            ("name", (self.table_names[index] != *name).then(|| json!(name))),
            ("strict", self.fact(index, |facts| facts.strict).then_some(json!(true))),
            ("without_rowid", self.fact(index, |facts| facts.without_rowid).then_some(json!(true))),
        ]);
        if facts.is_empty() { None } else { note(facts) }
    }
}

/// The comment on a column.
pub(crate) fn for_column(
    column: &Column,
    planned: &PlannedColumn<ToPostgres>,
    in_key: bool,
    autoincrement: bool,
) -> Option<String> {
    let is_virtual = column.generated.as_ref().is_some_and(|rule| !rule.stored);
    let collation = match &column.collation {
        Collation::Binary => None,
        Collation::NoCase => Some("NOCASE"),
        Collation::RTrim => Some("RTRIM"),
        Collation::Other(name) => Some(name.as_str()),
    };
    let facts = kept([
        ("type", Some(json!(column.declared))),
        ("name", (planned.target_name != column.name).then(|| json!(column.name))),
        ("nullable", (in_key && !column.not_null).then_some(json!(true))),
        ("autoincrement", (column.identity && autoincrement).then_some(json!(true))),
        ("virtual", is_virtual.then_some(json!(true))),
        ("collate", collation.map(|name| json!(name))),
    ]);
    note(facts)
}

fn note(facts: Map<String, Value>) -> Option<String> {
    Note { facts: facts.into(), ..Note::default() }.render()
}

/// The facts that hold.
fn kept<const N: usize>(facts: [(&str, Option<Value>); N]) -> Map<String, Value> {
    facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect()
}

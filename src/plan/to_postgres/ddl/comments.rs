//! Comments on tables and columns: JSON with SQLite's facts, for a later run back to SQLite.

use crate::plan::model::PlannedColumn;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::Column;
use crate::schema::expression::Collation;
use serde_json::json;

impl Definitions<'_> {
    /// The comment on a table, if there are facts to keep.
    pub(crate) fn table_comment(&self, index: usize) -> Option<String> {
        let table = &self.schema().tables[index];
        let mut facts = serde_json::Map::new();
        if self.table_names[index] != table.name {
            facts.insert("name".to_owned(), table.name.clone().into());
        }
        if self.fact(index, |facts| facts.strict) {
            facts.insert("strict".to_owned(), true.into());
        }
        if self.fact(index, |facts| facts.without_rowid) {
            facts.insert("without_rowid".to_owned(), true.into());
        }
        (!facts.is_empty()).then(|| json!({ "sqlite": facts }).to_string())
    }
}

/// The comment on a column.
pub(crate) fn for_column(
    column: &Column,
    planned: &PlannedColumn<ToPostgres>,
    in_key: bool,
    autoincrement: bool,
) -> String {
    let mut facts = serde_json::Map::new();
    facts.insert("type".to_owned(), column.declared.clone().into());
    if planned.target_name != column.name {
        facts.insert("name".to_owned(), column.name.clone().into());
    }
    if in_key && !column.not_null {
        facts.insert("nullable".to_owned(), true.into());
    }
    if column.identity && autoincrement {
        facts.insert("autoincrement".to_owned(), true.into());
    }
    if column.generated.as_ref().is_some_and(|rule| !rule.stored) {
        facts.insert("virtual".to_owned(), true.into());
    }
    let collation = match &column.collation {
        Collation::Binary => None,
        Collation::NoCase => Some("NOCASE".to_owned()),
        Collation::RTrim => Some("RTRIM".to_owned()),
        Collation::Other(name) => Some(name.clone()),
    };
    if let Some(collation) = collation {
        facts.insert("collate".to_owned(), collation.into());
    }
    json!({ "sqlite": facts }).to_string()
}

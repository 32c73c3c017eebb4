//! Comments: what the way back needs to make tables and columns as they were, in JSON on the server.

use crate::plan::model::PlannedColumn;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::Column;
use crate::schema::expression::Collation;
use serde_json::json;

impl Definitions<'_> {
    /// That of a table, where there is something to tell.
    pub(crate) fn table_comment(&self, place: usize) -> Option<String> {
        let table = &self.schema().tables[place];
        let mut facts = serde_json::Map::new();
        if self.table_names[place] != table.name {
            facts.insert("name".to_owned(), table.name.clone().into());
        }
        if self.fact(place, |facts| facts.strict) {
            facts.insert("strict".to_owned(), true.into());
        }
        if self.fact(place, |facts| facts.without_rowid) {
            facts.insert("without_rowid".to_owned(), true.into());
        }
        (!facts.is_empty()).then(|| json!({ "sqlite": facts }).to_string())
    }
}

/// That of a column.
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

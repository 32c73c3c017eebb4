//! Notes with SQLite's facts, as comments on what is created from it, for a later run back to SQLite.

use crate::plan::model::PlannedColumn;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::note::Note;
use crate::schema::{Check, Column, ForeignKey, Index, Key};
use serde_json::{Value, json};

impl Definitions<'_> {
    /// The comment on a table.
    pub(crate) fn table_comment(&self, index: usize) -> Option<String> {
        let name = &self.schema().tables[index].name;
        let file = &self.catalog.file;
        let definition = self.catalog.facts.get(name).map(|facts| json!(facts.definition));
        Note::of_facts([
            ("file", (!file.is_empty()).then(|| file.to_json())),
            ("name", (self.table_names[index] != *name).then(|| json!(name))),
            ("strict", self.fact(index, |facts| facts.strict).then_some(json!(true))),
            ("without_rowid", self.fact(index, |facts| facts.without_rowid).then_some(json!(true))),
            ("table", definition),
        ])
    }
}

/// The comment on a column.
pub(crate) fn for_column(
    column: &Column,
    planned: &PlannedColumn<ToPostgres>,
    in_key: bool,
    autoincrement: bool,
) -> Option<String> {
    let generated = column.generated.as_ref();
    let collation = Some(&column.collation).filter(|collation| !collation.is_binary());
    Note::of_facts([
        ("type", Some(json!(column.declared))),
        ("name", (planned.target_name != column.name).then(|| json!(column.name))),
        ("nullable", (in_key && !column.not_null).then_some(json!(true))),
        ("not_null", column.conflict.map(|conflict| json!(conflict))),
        ("autoincrement", (column.identity && autoincrement).then_some(json!(true))),
        ("default", column.default.as_ref().map(|sql| json!(sql.text))),
        ("generated", generated.map(|rule| json!(rule.expression.text))),
        ("virtual", generated.and_then(|rule| (!rule.stored).then_some(json!(true)))),
        ("collate", collation.map(|collation| json!(collation.as_sql()))),
    ])
}

/// The comment on a key, unless a key over the plain columns returns the same. `is_like`: the target
/// has a constraint of the same kind.
pub(crate) fn for_key(key: &Key, primary: bool, is_like: bool) -> Option<String> {
    let mut columns = key.columns.iter();
    let is_bare = key.name.is_none()
        && key.conflict.is_none()
        && columns.all(|column| !column.descending && column.collation.is_binary());
    let facts = [("key", Some(json!(key))), ("primary", primary.then_some(json!(true)))];
    if is_like && is_bare { None } else { Note::of_facts(facts) }
}

/// The comment on an index that is called `target_name`.
pub(crate) fn for_index(index: &Index, target_name: &str) -> Option<String> {
    let renamed = (index.name != target_name).then(|| json!(target_name));
    Note::of_facts([("index", Some(json!(index.definition))), ("target_name", renamed)])
}

pub(crate) fn for_check(check: &Check) -> Option<String> {
    Note::of_facts([("check", Some(check_fact(check)))])
}

pub(crate) fn check_fact(check: &Check) -> Value {
    json!({"name": check.name, "text": check.condition.text})
}

pub(crate) fn for_foreign_key(key: &ForeignKey) -> Option<String> {
    Note::of_facts([("foreign_key", Some(json!(key)))])
}

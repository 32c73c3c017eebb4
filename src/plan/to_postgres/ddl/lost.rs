//! What PostgreSQL cannot have: the notes of tables keep its definitions for the way back to SQLite.

use crate::error::plural;
use crate::plan::model::{OptionalDdl, Plan};
use crate::plan::table_selection::is_by_request;
use crate::plan::to_postgres::ddl::comments::check_fact;
use crate::plan::to_postgres::model::ToPostgres;
use crate::schema::note::Note;
use crate::schema::{LeftOut, ObjectKind, Schema};
use serde_json::{Value, json};

/// Adds the definitions to the comment of the table to which they belong, or else of the first one.
pub(crate) fn keep(schema: &Schema, plan: &mut Plan<ToPostgres>) {
    let mut lost: Vec<Vec<Value>> = vec![Vec::new(); plan.tables.len()];
    for left in plan.left_out.iter().filter(|left| !is_by_request(left)) {
        let is_planned = |name: &String| plan.tables.iter().position(|t| t.name == *name);
        let is_view = |name: &String| schema.views.iter().any(|view| view.name == *name);
        let owner = match &left.table {
            Some(name) if !is_view(name) => is_planned(name),
            _ => Some(0).filter(|_| !plan.tables.is_empty()),
        };
        let Some((owner, fact)) = owner.zip(fact(schema, plan, left)) else { continue };
        lost[owner].push(fact);
    }
    let count: usize = lost.iter().map(Vec::len).sum();
    for (table, lost) in plan.tables.iter_mut().zip(lost).filter(|(_, lost)| !lost.is_empty()) {
        table.ddl.comment = Note::add(table.ddl.comment.as_deref(), "lost", json!(lost));
    }
    if count > 0 {
        plan.notes.push(format!(
            "comments on the tables keep {}, for the way back to SQLite",
            plural(
                count as u64,
                "definition that is not migrated",
                "definitions that are not migrated"
            )
        ));
    }
}

/// The fact about an object that is not in the plan.
fn fact(schema: &Schema, plan: &Plan<ToPostgres>, left: &LeftOut) -> Option<Value> {
    let definition = left.definition.as_ref()?;
    let is_in = |list: &[OptionalDdl]| list.iter().any(|one| one.left_out.is_same(left));
    let table = || schema.tables.iter().find(|table| Some(&table.name) == left.table.as_ref());
    match left.kind {
        ObjectKind::Index if !plan.tables.iter().any(|table| is_in(&table.indexes)) => {
            Some(json!({"index": definition}))
        }
        ObjectKind::View if !is_in(&plan.objects.views) => Some(json!({"view": definition})),
        ObjectKind::Trigger => Some(json!({"trigger": definition})),
        ObjectKind::VirtualTable => Some(json!({"virtual_table": definition, "name": left.name})),
        ObjectKind::Check if !plan.tables.iter().any(|table| is_in(&table.finish.checks)) => {
            let check = table()?.checks.iter().find(|c| c.condition.text == *definition)?;
            Some(json!({"check": check_fact(check)}))
        }
        ObjectKind::ForeignKey
            if !plan.objects.foreign_keys.iter().any(|key| key.left_out.is_same(left)) =>
        {
            let key = table()?.foreign_keys.iter().find(|key| key.clause() == *definition)?;
            Some(json!({"foreign_key": key}))
        }
        _ => None,
    }
}

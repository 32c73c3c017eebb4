//! The dry run: all definitions run in an empty database, before anything is written.

use crate::error::{Error, Result};
use crate::plan::model::{OptionalDdl, Plan};
use crate::plan::to_sqlite::model::ToSqlite;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::sql::ddl::TableDdl;
use crate::sqlite::write::bulk_insert::dry_run;

/// Runs all definitions in an empty database. What SQLite refuses there is taken out of the plan
/// and listed: an index, or everything optional about a table.
pub(crate) fn run(plan: &mut Plan<ToSqlite>) -> Result<()> {
    loop {
        let tables = plan.tables.iter().map(|table| table.ddl.create());
        let indexes = plan.tables.iter().flat_map(|table| &table.indexes);
        let statements: Vec<String> =
            tables.chain(indexes.map(|index| index.sql.clone())).collect();
        let Some((index, cause)) = dry_run(&statements)? else { return Ok(()) };
        let reason = format!("SQLite refuses it: {cause}");
        if let Some(index) = index.checked_sub(plan.tables.len()) {
            let refused = remove_index(plan, index);
            plan.left_out.extend(refused.map(|refused| refused.left_out.because(reason)));
            continue;
        }
        let planned = &mut plan.tables[index];
        let table = &mut planned.ddl;
        if !strip(table, &reason, &mut plan.left_out) {
            return Err(Error::refused(format!("SQLite refuses table {}", quote(&table.name)))
                .caused_by(cause)
                .remedy_exclude(&[&planned.name]));
        }
    }
}

/// Takes the index with this number, counted over all tables, out of the plan.
fn remove_index(plan: &mut Plan<ToSqlite>, mut number: usize) -> Option<OptionalDdl> {
    for table in &mut plan.tables {
        if number < table.indexes.len() {
            return Some(table.indexes.remove(number));
        }
        number -= table.indexes.len();
    }
    None
}

/// Takes everything optional out of a table. Returns whether there was anything.
fn strip(table: &mut TableDdl, reason: &str, left_out: &mut Vec<LeftOut>) -> bool {
    let mut taken = Vec::new();
    for (name, condition) in table.checks.drain(..) {
        taken.push((ObjectKind::Check, name.unwrap_or_default(), condition));
    }
    for column in &mut table.columns {
        if let Some(default) = column.default.take() {
            taken.push((ObjectKind::Default, column.name.clone(), default));
        }
        if let Some((expression, _)) = column.generated.take() {
            taken.push((ObjectKind::GeneratedColumn, column.name.clone(), expression));
        }
    }
    let any = !taken.is_empty();
    left_out.extend(taken.into_iter().map(|(kind, name, definition)| {
        LeftOut::part(kind, &table.name, &name, Some(&definition)).because(reason)
    }));
    any
}

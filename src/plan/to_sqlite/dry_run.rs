//! The trial: all definitions are made once in an empty database, before anything is written.

use crate::error::{Error, Result};
use crate::plan::to_sqlite::ddl::TableDefinition;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::sql::ddl::TableDdl;
use crate::sqlite::write::bulk_insert::dry_run;

/// Makes all definitions in an empty database of its own. What SQLite will not have there is taken
/// out and listed: an index, or what is optional about a table.
pub(crate) fn try_out(tables: &mut [TableDefinition], left_out: &mut Vec<LeftOut>) -> Result<()> {
    loop {
        let mut statements: Vec<String> = tables.iter().map(|table| table.ddl.create()).collect();
        let mut indexes = Vec::new();
        for (table, definition) in tables.iter().enumerate() {
            for (index, optional) in definition.indexes.iter().enumerate() {
                indexes.push((table, index));
                statements.push(optional.sql.clone());
            }
        }
        let Some((place, cause)) = dry_run(&statements)? else { return Ok(()) };
        let reason = format!("SQLite refuses it: {cause}");
        if let Some(&(table, index)) = place.checked_sub(tables.len()).and_then(|i| indexes.get(i))
        {
            let optional = tables[table].indexes.remove(index);
            left_out.push(LeftOut { reason, ..optional.left_out });
            continue;
        }
        let table = &mut tables[place].ddl;
        if !strip(table, &reason, left_out) {
            return Err(Error::refused(format!("SQLite refuses table {}", quote(&table.name)))
                .caused_by(cause)
                .hint("leave it out with --exclude"));
        }
    }
}

/// Takes everything optional out of a table; says whether there was something.
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

//! Objects that are not carried over to PostgreSQL, only listed.

use crate::error::Result;
use crate::schema::{LeftOut, ObjectKind, names};
use crate::sqlite::catalog::modules;
use crate::sqlite::catalog::query::{Entry, unreadable};
use crate::sqlite::sql::parse::create::ModuleText;
use rusqlite::Connection;

/// Lists a table that is not an ordinary one; `None` if it is.
pub(crate) fn left_out_table(
    connection: &Connection,
    entry: &Entry,
    entries: &[Entry],
    virtuals: &[(&str, ModuleText)],
) -> Result<Option<LeftOut>> {
    let left_out = |kind, reason, definition, rows| {
        Ok(Some(LeftOut { kind, table: None, name: entry.name.clone(), reason, definition, rows }))
    };
    if strip_prefix(&entry.name, "sqlite_").is_some() {
        let reason = "SQLite's own bookkeeping".to_owned();
        return left_out(ObjectKind::InternalTable, reason, None, None);
    }
    if entry.is_virtual() {
        let module = entry.module();
        let content = modules::content(&module)
            .map(|suffix| format!("{}_{suffix}", entry.name))
            .and_then(|name| entries.iter().find(|e| e.name.eq_ignore_ascii_case(&name)));
        let count = |table: &Entry| {
            let sql = format!("SELECT count(*) FROM main.{}", names::quote(&table.name));
            let count = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
            count.map(i64::unsigned_abs).map_err(unreadable)
        };
        let rows = content.map(count).transpose()?;
        let reason = format!(
            "virtual table of the module {:?}, which PostgreSQL does not have{}",
            module.name,
            if rows.is_some() { "; its rows are not migrated" } else { "" }
        );
        return left_out(ObjectKind::VirtualTable, reason, entry.sql.clone(), rows);
    }
    let owner = virtuals.iter().find(|(name, module)| {
        strip_prefix(&entry.name, name)
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|rest| modules::is_shadow(module, rest))
    });
    let Some((name, _)) = owner else { return Ok(None) };
    let reason = format!("storage of the virtual table {}", names::quote(name));
    left_out(ObjectKind::ShadowTable, reason, None, None)
}

/// `name` without `prefix`. As in SQLite, only ASCII letters are compared without case.
fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Lists a trigger.
pub(crate) fn left_out_trigger(entry: &Entry) -> LeftOut {
    let trigger =
        LeftOut::part(ObjectKind::Trigger, &entry.table, &entry.name, entry.sql.as_deref());
    trigger.because("triggers are not migrated")
}

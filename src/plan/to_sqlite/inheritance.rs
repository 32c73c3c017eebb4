//! Inheritance, which SQLite does not have: what is listed about it.

use crate::error::{Result, plural};
use crate::plan::texts::list_names;
use crate::postgres::errors::db_error;
use crate::postgres::relation::StoredTable;
use crate::schema::names::qualify;
use crate::schema::{LeftOut, ObjectKind, Schema};
use postgres::Client;

/// Lists the child tables whose rows become rows of their parents, and the columns that only those
/// child tables have.
pub(crate) fn list(
    client: &mut Client,
    (schema, stored): (&Schema, &[StoredTable]),
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    let is_migrated = |name: &String| schema.tables.iter().any(|table| table.name == *name);
    left_out.retain(|left| {
        left.kind != ObjectKind::Inheritance || left.table.as_ref().is_some_and(is_migrated)
    });
    for (table, stored) in schema.tables.iter().zip(stored) {
        if stored.children.is_empty() {
            continue;
        }
        let names = list_names(stored.children.iter().map(|c| format!("{}.{}", c.schema, c.name)));
        let children = plural(stored.children.len() as u64, "child table", "child tables");
        let reason = format!(
            "SQLite has no inheritance; the rows of {children} are read through this table and \
             become rows of it"
        );
        let listed = LeftOut::part(ObjectKind::Inheritance, &table.name, &names, None);
        left_out.push(listed.because(reason));
        left_out.extend(own_columns(client, &table.name, stored)?);
    }
    Ok(())
}

/// The columns that only the child tables of a table have.
fn own_columns(client: &mut Client, table: &str, stored: &StoredTable) -> Result<Vec<LeftOut>> {
    const SQL: &str = "\
        SELECT a.attrelid, a.attname::text FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute p WHERE p.attrelid = $2 \
            AND p.attnum > 0 AND NOT p.attisdropped AND p.attname = a.attname) \
        ORDER BY a.attrelid, a.attnum";
    let children: Vec<u32> = stored.children.iter().map(|child| child.oid).collect();
    let rows = client.query(SQL, &[&children, &stored.oid]);
    let rows = rows.map_err(db_error("cannot read the catalog of the PostgreSQL database"))?;
    let column = |row: &postgres::Row| {
        let (oid, column): (u32, &str) = (row.get(0), row.get(1));
        let child = stored.children.iter().find(|child| child.oid == oid);
        let child = child.map_or_else(String::new, |child| qualify(&child.schema, &child.name));
        let reason = format!(
            "exists only in child table {child}, whose other columns are read through this table"
        );
        LeftOut::part(ObjectKind::Column, table, column, None).because(reason)
    };
    Ok(rows.iter().map(column).collect())
}

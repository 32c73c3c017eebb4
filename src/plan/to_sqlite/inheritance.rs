//! Inheritance, which SQLite does not have: what is listed about it.

use crate::error::{Error, Result, plural};
use crate::plan::texts::list_names;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use crate::postgres::relation::{Child, StoredTable};
use crate::schema::names::{qualify, quote};
use crate::schema::{LeftOut, ObjectKind, Schema, Table};
use postgres::Client;

/// Lists the child tables whose rows become rows of their parents, and the columns that only those
/// child tables have.
pub(crate) fn list(
    client: &mut Client,
    (schema, stored): (&Schema, &[StoredTable]),
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    for (table, stored) in schema.tables.iter().zip(stored) {
        if stored.children.is_empty() {
            continue;
        }
        let names = list_names(stored.children.iter().map(Child::to_string));
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

/// Checks the keys of tables whose child tables are read through them: PostgreSQL does not enforce a
/// key across inheritance. Refused if such rows have equal keys. Their foreign keys count as NOT VALID.
pub(crate) fn check_keys(
    client: &mut Client,
    catalog: &mut Catalog,
    stored: &[StoredTable],
) -> Result<()> {
    let has_children = |(_, stored): &(&Table, &StoredTable)| !stored.children.is_empty();
    for (table, stored) in catalog.schema.tables.iter().zip(stored).filter(has_children) {
        let names = table.foreign_keys.iter().filter_map(|key| key.name.clone());
        if let Some(facts) = catalog.facts.get_mut(&table.name) {
            facts.not_valid.extend(names);
        }
        // TimescaleDB's unique keys contain the time by which it divides rows into chunks.
        if stored.children.iter().all(|child| child.schema == "_timescaledb_internal") {
            continue;
        }
        for columns in table.unique_columns() {
            let columns: Vec<String> = columns.into_iter().map(quote).collect();
            let sql = format!(
                "SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NOT NULL GROUP BY {} \
                 HAVING count(*) > 1) d",
                stored.from,
                columns.join(" IS NOT NULL AND "),
                columns.join(", ")
            );
            let what = format!("cannot check the keys of table {}", quote(&table.name));
            let count: i64 = client.query_one(&sql, &[]).map_err(db_error(&what))?.get(0);
            if count > 0 {
                let (values, name) = (plural(count.unsigned_abs(), "value", "values"), &table.name);
                let children = list_names(stored.children.iter().map(Child::to_string));
                return Err(Error::refused(format!(
                    "table {} and its child tables have equal keys",
                    quote(name)
                ))
                .caused_by(format!(
                    "{values} of the key ({}) occur more than once in it and in {children}",
                    columns.join(", ")
                ))
                .caused_by("PostgreSQL does not enforce a key across inheritance, SQLite would")
                .remedy_exclude(&[name]));
            }
        }
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

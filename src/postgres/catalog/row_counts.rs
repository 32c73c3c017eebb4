//! The rows of the target's tables.

use crate::error::Result;
use crate::postgres::errors::{db_error, is_refusal};
use crate::postgres::ledger::Ledger;
use crate::schema::names::qualify;
use postgres::Client;

/// The rows of a table with its partitions. If `is_ours`, also those that no transaction of the ledger
/// wrote. `None` if the server refuses to count them.
pub(crate) fn count(
    client: &mut Client,
    schema: &str,
    table: &str,
    is_ours: bool,
) -> Result<(Option<u64>, Option<u64>)> {
    let table = qualify(schema, table);
    let sql = match is_ours {
        // A join is hashed at any size; NOT IN is not.
        true => format!(
            "SELECT count(*), count(*) FILTER (WHERE ours.id IS NULL) FROM {table} t \
             LEFT JOIN (SELECT DISTINCT l.id FROM ({}) l (id)) ours ON ours.id = t.xmin",
            Ledger::transactions(schema)
        ),
        false => format!("SELECT count(*), NULL::bigint FROM {table}"),
    };
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    match client.query_one(&sql, &[]) {
        Ok(row) => Ok((number(row.get(0)), number(row.get(1)))),
        Err(error) if is_refusal(&error) => Ok((None, None)),
        Err(error) => Err(db_error(&format!("cannot count the rows of table {table}"))(error)),
    }
}

/// Whether one of the tables has rows. A table that the server refuses to read counts as empty.
pub(crate) fn is_any(client: &mut Client, schema: &str, tables: &[&str]) -> Result<bool> {
    for table in tables {
        let table = qualify(schema, table);
        match client.query_one(&format!("SELECT EXISTS (SELECT FROM {table})"), &[]) {
            Ok(row) if row.get(0) => return Ok(true),
            Err(error) if !is_refusal(&error) => {
                return Err(db_error(&format!("cannot read table {table}"))(error));
            }
            _ => {}
        }
    }
    Ok(false)
}

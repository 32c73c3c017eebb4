//! Sequences that columns own.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use postgres::Client;

/// Reads the last value that the sequences of each table have returned.
pub(crate) fn read(client: &mut Client, catalog: &mut Catalog) -> Result<()> {
    for table in &mut catalog.schema.tables {
        let Some(facts) = catalog.facts.get(&table.name) else { continue };
        for sequence in facts.columns.iter().filter_map(|column| column.sequence.as_ref()) {
            let last: Option<i64> = client
                .query_one(
                    "SELECT pg_catalog.pg_sequence_last_value($1::text::pg_catalog.regclass)",
                    &[sequence],
                )
                .map_err(db_error(&format!("cannot read sequence {sequence}")))?
                .get(0);
            table.sequence = table.sequence.max(last);
        }
    }
    Ok(())
}

/// The value before the next one of a sequence, whether it has been returned or not.
pub(crate) fn value_before_next(client: &mut Client, sequence: &str) -> Result<i64> {
    let row = client
        .query_one(&format!("SELECT last_value, is_called FROM {sequence}"), &[])
        .map_err(db_error(&format!("cannot read sequence {sequence}")))?;
    let (last, is_called): (i64, bool) = (row.get(0), row.get(1));
    Ok(if is_called { last } else { last.saturating_sub(1) })
}

//! Sequences that columns own.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::errors::db_error;
use postgres::Client;

/// Reads the value before the next one of the sequence of each table's key.
pub(crate) fn read(client: &mut Client, catalog: &mut Catalog) -> Result<()> {
    for table in &mut catalog.schema.tables {
        let Some(facts) = catalog.facts.get(&table.name) else { continue };
        let Some([key]) = table.primary_key.as_ref().map(|key| key.columns.as_slice()) else {
            continue;
        };
        let mut columns = table.columns.iter().zip(&facts.columns);
        let column = columns.find(|(column, _)| column.name == key.name && column.identity);
        if let Some(sequence) = column.and_then(|(_, facts)| facts.sequence.as_ref()) {
            table.sequence = Some(value_before_next(client, sequence)?).filter(|last| *last > 0);
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

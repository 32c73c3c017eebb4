//! The comparison of the expected schema with the existing one.

use crate::error::Result;
use crate::schema::ObjectKind;
use crate::schema::names::quote;
use crate::verify::schema_check::existing::Existing;
use crate::verify::schema_check::expected::Expected;
use crate::verify::schema_check::table_diff::{SchemaDiff, TableDiff};
use postgres::Client;

/// Compares the expected schema with that of a PostgreSQL target.
pub(crate) fn check_postgres(
    client: &mut Client,
    schema: &str,
    expected: &Expected,
) -> Result<SchemaDiff> {
    Ok(compare(expected, &Existing::read_postgres(client, schema, expected)?))
}

/// Compares the expected schema with the existing one.
pub(crate) fn compare(expected: &Expected, existing: &Existing) -> SchemaDiff {
    let mut diff = SchemaDiff { differences: Vec::new(), notes: expected.notes.clone() };
    let mut compared = Vec::new();
    for table in &expected.tables {
        let wanted = table.target.as_ref();
        let pair = wanted.and_then(|wanted| Some((wanted, existing.table(&wanted.name)?)));
        let Some((wanted, found)) = pair else {
            diff.differences.push(format!("table {} is missing", quote(&table.name)));
            continue;
        };
        compared.push(&found.name);
        TableDiff { expected, existing, table, wanted, found }.run(&mut diff);
    }
    for view in &expected.views {
        let is_view = |kind| matches!(kind, ObjectKind::View | ObjectKind::MaterializedView);
        if !existing.schema.left_out.iter().any(|found| is_view(found.kind) && found.name == *view)
        {
            diff.differences.push(format!("view {} is missing", quote(view)));
        }
    }
    for table in &existing.schema.tables {
        if !compared.contains(&&table.name) && !expected.ignored.contains(&table.name) {
            diff.notes.push(format!("table {} is in the target only", quote(&table.name)));
        }
    }
    diff
}

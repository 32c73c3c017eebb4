//! The PostgreSQL catalog: one schema of a database, read into the neutral schema.
//!
//! Everything is read from `pg_catalog`, under the snapshot of the session. A partitioned table is
//! one table. Expressions keep the server's spelling; where every construct is known, they also
//! have a tree ([`crate::postgres::sql::parse`]).

pub(crate) mod columns;
pub(crate) mod constraints;
pub(crate) mod existing;
pub(crate) mod indexes;
pub(crate) mod large_objects;
pub(crate) mod model;
pub(crate) mod other_objects;
pub(crate) mod query;
pub(crate) mod row_counts;
pub(crate) mod sequences;
pub(crate) mod tables;
pub(crate) mod target_objects;

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::query::CatalogReader;
use crate::schema::ObjectKind;
use postgres::Client;
use std::collections::HashMap;

/// Reads `schema` as a source: without the parts of tables that SQLite cannot have, which are
/// listed as not migrated.
pub(crate) fn read(client: &mut Client, schema: &str) -> Result<Catalog> {
    let mut reader = read_tables(client, schema)?;
    other_objects::losses(&mut reader)?;
    let CatalogReader { client, mut catalog, .. } = reader;
    sequences::read(client, &mut catalog)?;
    let Catalog { schema, facts, lost } = &mut catalog;
    for table in &mut schema.tables {
        let kept = |kind: ObjectKind, name: &str| {
            !schema.left_out.iter().any(|left_out| {
                left_out.kind == kind
                    && left_out.table.as_ref() == Some(&table.name)
                    && left_out.name == name
            })
        };
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        table.uniques.retain(|key| kept(ObjectKind::Unique, &named(&key.name)));
        table.foreign_keys.retain(|key| kept(ObjectKind::ForeignKey, &named(&key.name)));
        table.indexes.retain(|index| kept(ObjectKind::Index, &index.name));
        table
            .checks
            .extend(facts.get_mut(&table.name).into_iter().flat_map(|f| f.checks.drain(..)));
    }
    schema.left_out.append(lost);
    Ok(catalog)
}

/// Reads `schema` with everything that its tables have and that is in force, but without the state
/// of sequences, which this role may not be allowed to read.
pub(crate) fn read_all(client: &mut Client, schema: &str) -> Result<Catalog> {
    Ok(read_tables(client, schema)?.catalog)
}

fn read_tables<'a>(client: &'a mut Client, schema: &'a str) -> Result<CatalogReader<'a>> {
    let (tables, catalog) = (HashMap::new(), Catalog::default());
    let mut reader = CatalogReader { client, schema, tables, catalog };
    tables::read(&mut reader)?;
    columns::read(&mut reader)?;
    constraints::read(&mut reader)?;
    indexes::read(&mut reader)?;
    other_objects::relations(&mut reader)?;
    Ok(reader)
}

//! Tables.

use crate::error::Result;
use crate::postgres::catalog::model::{Catalog, TableFacts};
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::ledger::TABLE;
use crate::schema::names::quote;
use crate::schema::note::Note;
use crate::schema::{LeftOut, ObjectKind, Table};

/// Reads the tables without their parts, in the order of their creation.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    const SQL: &str = "\
        SELECT c.oid::bigint, c.relname::text, pg_catalog.row_security_active(c.oid), \
          pg_catalog.obj_description(c.oid, 'pg_class'), \
          ARRAY(SELECT p.relname::text FROM pg_catalog.pg_inherits i \
            JOIN pg_catalog.pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid \
            ORDER BY i.inhseqno) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
            AND d.deptype = 'e') \
        ORDER BY c.oid";
    for row in reader.query(SQL)? {
        let Catalog { schema, facts, .. } = &mut reader.catalog;
        let name: String = row.get(1);
        if name == TABLE {
            continue;
        }
        let parents: Vec<String> = row.get(4);
        for parent in &parents {
            let listed = LeftOut::part(ObjectKind::Inheritance, &name, parent, None);
            let reason =
                format!("SQLite has no inheritance; {} becomes a table of its own", quote(&name));
            schema.left_out.push(listed.because(reason));
        }
        reader.tables.insert(row.get(0), schema.tables.len());
        let origin = Note::parse(row.get(3)).facts;
        let table_facts = TableFacts { hidden: row.get(2), origin, ..TableFacts::default() };
        facts.insert(name.clone(), table_facts);
        schema.tables.push(Table { name, ..Table::default() });
    }
    Ok(())
}

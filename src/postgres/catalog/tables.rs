//! Tables.

use crate::error::Result;
use crate::postgres::catalog::model::{Catalog, TableFacts};
use crate::postgres::catalog::query::{CatalogReader, origin};
use crate::postgres::ledger::TABLE;
use crate::schema::{LeftOut, ObjectKind, Table};

/// Reads the tables without their parts, in the order of their creation.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    const SQL: &str = "\
        SELECT c.oid::bigint, c.relname::text, c.relkind = 'p', c.relrowsecurity, \
          pg_catalog.row_security_active(c.oid), \
          coalesce((SELECT sum(pg_catalog.pg_relation_size(t.relid::oid)) \
            FROM pg_catalog.pg_partition_tree(c.oid) t), pg_catalog.pg_relation_size(c.oid), 0)::bigint, \
          pg_catalog.obj_description(c.oid, 'pg_class'), \
          (SELECT coalesce(sum(pg_catalog.pg_relation_size(l.reltoastrelid)), 0)::bigint \
            FROM pg_catalog.pg_class l WHERE l.reltoastrelid <> 0 AND (l.oid = c.oid OR l.oid IN \
              (SELECT t.relid::oid FROM pg_catalog.pg_partition_tree(c.oid) t))), \
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
        let Catalog { schema, facts } = &mut reader.catalog;
        let name: String = row.get(1);
        if name == TABLE {
            continue;
        }
        let parents: Vec<String> = row.get(8);
        for parent in &parents {
            let listed = LeftOut::part(ObjectKind::Inheritance, &name, parent, None);
            let reason = "SQLite has no inheritance; both tables are migrated with their own rows";
            schema.left_out.push(listed.because(reason));
        }
        reader.tables.insert(row.get(0), schema.tables.len());
        let table_facts = TableFacts {
            partitioned: row.get(2),
            hidden: row.get(4),
            bytes: u64::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            bytes_apart: u64::try_from(row.get::<_, i64>(7)).unwrap_or(0),
            origin: origin(row.get(6)),
            ..TableFacts::default()
        };
        facts.insert(name.clone(), table_facts);
        schema.tables.push(Table { name, ..Table::default() });
    }
    Ok(())
}

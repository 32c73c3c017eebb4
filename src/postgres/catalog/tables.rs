//! Tables.

use crate::error::Result;
use crate::postgres::catalog::model::{Catalog, TableFacts};
use crate::postgres::catalog::query::{TableIndex, left_out, origin, query};
use crate::postgres::ledger::TABLE;
use crate::schema::{ObjectKind, Table};
use postgres::Client;

/// Reads the tables without their parts, in the order of their creation.
pub(crate) fn read(client: &mut Client, schema: &str, catalog: &mut Catalog) -> Result<TableIndex> {
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
    let mut tables = TableIndex::new();
    for row in query(client, SQL, schema)? {
        let name: String = row.get(1);
        if name == TABLE {
            continue;
        }
        let parents: Vec<String> = row.get(8);
        for parent in &parents {
            catalog.schema.left_out.push(left_out(
                ObjectKind::Inheritance,
                Some(&name),
                parent,
                "SQLite has no inheritance; both tables are migrated with their own rows",
            ));
        }
        tables.insert(row.get(0), catalog.schema.tables.len());
        let facts = TableFacts {
            partitioned: row.get(2),
            hidden: row.get(4),
            bytes: u64::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            bytes_apart: u64::try_from(row.get::<_, i64>(7)).unwrap_or(0),
            origin: origin(row.get(6)),
            ..TableFacts::default()
        };
        catalog.facts.insert(name.clone(), facts);
        catalog.schema.tables.push(Table { name, ..Table::default() });
    }
    Ok(tables)
}

//! Relations: the tables, and everything in the schema that is listed only.

use crate::error::Result;
use crate::postgres::catalog::{Catalog, SourceIndex, TableFacts, left_out, origin, query};
use crate::postgres::ledger::TABLE;
use crate::schema::{LeftOut, ObjectKind, RowAddress, Table};
use postgres::Client;

/// Reads the tables' names, in the order of their creation.
pub(crate) fn tables(
    client: &mut Client,
    schema: &str,
    catalog: &mut Catalog,
) -> Result<SourceIndex> {
    const SQL: &str = "\
        SELECT c.oid::bigint, c.relname::text, c.relkind = 'p', c.relrowsecurity, \
          pg_catalog.row_security_active(c.oid), \
          coalesce((SELECT sum(pg_catalog.pg_relation_size(t.relid::oid)) \
            FROM pg_catalog.pg_partition_tree(c.oid) t), pg_catalog.pg_relation_size(c.oid))::bigint, \
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
    let mut places = SourceIndex::new();
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
                "SQLite has no inheritance; both tables arrive with their own rows",
            ));
        }
        places.insert(row.get(0), catalog.schema.tables.len());
        let facts = TableFacts {
            partitioned: row.get(2),
            hidden: row.get(4),
            bytes: u64::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            bytes_apart: u64::try_from(row.get::<_, i64>(7)).unwrap_or(0),
            origin: origin(row.get(6)),
            ..TableFacts::default()
        };
        catalog.facts.insert(name.clone(), facts);
        catalog.schema.tables.push(Table {
            name,
            columns: Vec::new(),
            primary_key: None,
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            address: RowAddress::Ordinal,
            sequence: None,
        });
    }
    Ok(places)
}

/// Lists what is not carried over: views, foreign tables, sequences of nobody, triggers, policies,
/// and who may do what.
pub(crate) fn others(client: &mut Client, schema: &str, list: &mut Vec<LeftOut>) -> Result<()> {
    const RELATIONS: &str = "\
        SELECT c.relname::text, c.relkind::text, \
          CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind IN ('v', 'm', 'f', 'S') AND NOT c.relispartition \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
            AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refobjsubid > 0)) \
        ORDER BY c.oid";
    for row in query(client, RELATIONS, schema)? {
        let (kind, reason) = match row.get::<_, &str>(1) {
            "v" => (ObjectKind::View, "views are not carried over to SQLite"),
            "m" => (ObjectKind::MaterializedView, "SQLite has no materialized views"),
            "f" => (ObjectKind::ForeignTable, "its rows are in another database"),
            _ => (ObjectKind::Sequence, "SQLite has no sequences but those of its own keys"),
        };
        list.push(LeftOut { definition: row.get(2), ..left_out(kind, None, row.get(0), reason) });
    }
    const TRIGGERS: &str = "\
        SELECT c.relname::text, t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid) \
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND NOT t.tgisinternal AND NOT c.relispartition ORDER BY t.oid";
    for row in query(client, TRIGGERS, schema)? {
        let reason = "triggers are not carried over";
        let trigger = left_out(ObjectKind::Trigger, Some(row.get(0)), row.get(1), reason);
        list.push(LeftOut { definition: row.get(2), ..trigger });
    }
    const POLICIES: &str = "\
        SELECT c.relname::text, p.polname::text FROM pg_catalog.pg_policy p \
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 ORDER BY p.oid";
    for row in query(client, POLICIES, schema)? {
        let reason = "SQLite has no row-level security: whoever reads the file reads all rows";
        list.push(left_out(ObjectKind::Policy, Some(row.get(0)), row.get(1), reason));
    }
    const GRANTEES: &str = "\
        SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
        LATERAL pg_catalog.aclexplode(c.relacl) a \
        JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner ORDER BY 1";
    for row in query(client, GRANTEES, schema)? {
        let reason = "SQLite has no roles: the file's owner and mode decide who may read it";
        list.push(left_out(ObjectKind::Role, None, row.get(0), reason));
    }
    Ok(())
}

//! What SQLite cannot have, besides parts of tables that it can: one query for each catalog.

use crate::error::{Error, Result, plural};
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::ledger::TABLE;
use crate::schema::note::{MADE, Note, fingerprint};
use crate::schema::{LeftOut, ObjectKind, View};
use std::collections::{BTreeMap, HashSet};

/// Views, foreign tables, and sequences that no column has as its default. Like those below, the query gives kind,
/// table, name, reason and definition. Its parameter is the schema.
const RELATIONS: &str = "\
    SELECT k.kind, NULL, c.relname::text, k.reason, \
      CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN (VALUES ('v', 'view', 'views are not migrated to SQLite'), \
      ('m', 'materialized_view', 'SQLite has no materialized views'), \
      ('f', 'foreign_table', 'its rows are in another database'), \
      ('S', 'sequence', 'SQLite has no sequences other than those of its keys')) \
      k (relkind, kind, reason) ON k.relkind = c.relkind::text \
    WHERE n.nspname = $1 AND NOT c.relispartition \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
        AND (d.deptype IN ('e', 'i') OR d.deptype = 'a' AND EXISTS (SELECT \
          FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend u ON u.objid = f.oid \
            AND u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND u.refobjid = c.oid \
          WHERE f.adrelid = d.refobjid AND f.adnum = d.refobjsubid))) \
    ORDER BY c.oid";

const TRIGGERS: &str = "\
    SELECT 'trigger', c.relname::text, t.tgname::text, 'triggers are not migrated' \
      || CASE t.tgenabled WHEN 'D' THEN ' (it is disabled)' ELSE '' END, \
      pg_catalog.pg_get_triggerdef(t.oid) \
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND NOT t.tgisinternal AND NOT c.relispartition ORDER BY t.oid";

const RULES: &str = "\
    SELECT 'rule', c.relname::text, r.rulename::text, 'SQLite has no rules', \
      pg_catalog.pg_get_ruledef(r.oid) \
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND r.rulename <> '_RETURN' ORDER BY r.oid";

const POLICIES: &str = "\
    SELECT 'policy', c.relname::text, coalesce(p.polname::text, 'row-level security'), \
      'SQLite has no row-level security: everyone who can read the file can read all rows', NULL \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid \
    WHERE n.nspname = $1 AND (c.relrowsecurity OR p.oid IS NOT NULL) ORDER BY c.oid, p.oid";

const GRANTEES: &str = "\
    SELECT DISTINCT 'role', NULL, r.rolname::text, \
      'SQLite has no roles: access depends on the file''s owner and mode', NULL \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
    LATERAL (SELECT c.relacl UNION SELECT t.attacl FROM pg_catalog.pg_attribute t \
      WHERE t.attrelid = c.oid AND NOT t.attisdropped) l (acl), \
    LATERAL pg_catalog.aclexplode(l.acl) a \
    JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner ORDER BY 3";

const FUNCTIONS: &str = "\
    SELECT 'function', NULL, p.proname || '(' \
      || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', \
      'SQLite has no stored functions and procedures', \
      CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
      WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
      AND d.deptype IN ('e', 'i')) \
    ORDER BY p.oid";

const IDENTITIES: &str = "\
    SELECT 'column', c.relname::text, a.attname::text, \
      'SQLite also accepts a value in a statement (GENERATED ALWAYS)', NULL \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND a.attidentity = 'a' AND NOT c.relispartition \
    ORDER BY c.oid, a.attnum";

const SEQUENCES: &str = "\
    SELECT 'sequence', c.relname::text, s.relname::text, \
      'SQLite takes the largest value plus 1, without ' || l.properties, NULL \
    FROM pg_catalog.pg_sequence q JOIN pg_catalog.pg_class s ON s.oid = q.seqrelid \
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
      AND d.objid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
      AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 \
    JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    CROSS JOIN LATERAL (SELECT concat_ws(', ', \
      CASE WHEN q.seqincrement <> 1 THEN 'INCREMENT BY ' || q.seqincrement END, \
      CASE WHEN q.seqincrement > 0 AND q.seqmin <> 1 THEN 'MINVALUE ' || q.seqmin END, \
      CASE WHEN q.seqincrement > 0 AND q.seqmax <> CASE pg_catalog.format_type(q.seqtypid, NULL) \
        WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 \
        ELSE 9223372036854775807 END THEN 'MAXVALUE ' || q.seqmax END, \
      CASE WHEN q.seqcycle THEN 'CYCLE' END)) l (properties) \
    WHERE n.nspname = $1 AND l.properties <> '' ORDER BY c.oid, s.oid";

/// The CHECKs of domains that do not hold for all rows.
const DOMAINS: &str = "\
    SELECT 'check', c.relname::text, a.attname::text, \
      'it holds for new rows only (NOT VALID)', pg_catalog.pg_get_constraintdef(k.oid) \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    CROSS JOIN LATERAL (WITH RECURSIVE up (oid) AS (SELECT a.atttypid UNION ALL \
      SELECT t.typbasetype FROM up JOIN pg_catalog.pg_type t ON t.oid = up.oid \
      WHERE t.typtype = 'd') SELECT up.oid FROM up) u \
    JOIN pg_catalog.pg_constraint k ON k.contypid = u.oid \
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
      AND k.contype = 'c' AND NOT k.convalidated ORDER BY c.oid, a.attnum, k.oid";

/// Enums and constrained domains inside of arrays, composites and ranges.
const PARTS_OF_VALUES: &str = "\
    WITH RECURSIVE part (attrelid, attnum, oid, nested) AS ( \
      SELECT a.attrelid, a.attnum, a.atttypid, false FROM pg_catalog.pg_attribute a \
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
        AND a.attnum > 0 AND NOT a.attisdropped \
      UNION SELECT p.attrelid, p.attnum, d.oid, p.nested OR d.nested FROM part p \
      JOIN pg_catalog.pg_type t ON t.oid = p.oid CROSS JOIN LATERAL ( \
        SELECT t.typbasetype, false WHERE t.typtype = 'd' \
        UNION ALL SELECT t.typelem, true WHERE t.typcategory = 'A' AND t.typelem <> 0 \
        UNION ALL SELECT r.rngsubtype, true FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid \
        UNION ALL SELECT f.atttypid, true FROM pg_catalog.pg_attribute f \
          WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0 \
          AND NOT f.attisdropped) d (oid, nested)) \
    SELECT 'column', c.relname::text, a.attname::text, 'SQLite does not check the parts of its \
      values, which are of the type ' \
      || string_agg(DISTINCT t.typname::text, ', ' ORDER BY t.typname::text), NULL \
    FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.oid \
    JOIN pg_catalog.pg_class c ON c.oid = p.attrelid \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = p.attrelid AND a.attnum = p.attnum \
    WHERE p.nested AND (t.typtype = 'e' OR t.typtype = 'd' AND (t.typnotnull OR EXISTS \
      (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))) \
    GROUP BY c.oid, c.relname, a.attnum, a.attname ORDER BY c.oid, a.attnum";

/// The bounds of partitions, and what only single partitions have.
const PARTITIONS: &str = "\
    WITH part AS ( \
      SELECT r.relname::text AS root, p.relname::text AS name, p.oid FROM pg_catalog.pg_class r \
      JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
      CROSS JOIN LATERAL pg_catalog.pg_partition_tree(r.oid) t \
      JOIN pg_catalog.pg_class p ON p.oid = t.relid \
      WHERE n.nspname = $1 AND r.relkind = 'p' AND NOT r.relispartition) \
    SELECT DISTINCT 'check', p.root, 'partitions', \
      'SQLite also accepts rows that belong to no partition', NULL \
    FROM part p JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = p.oid \
    WHERE t.partdefid = 0 AND t.partstrat <> 'h' \
    UNION ALL \
    SELECT CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign_key' ELSE 'unique' END, \
      p.root, k.conname::text, 'only the partition ' || p.name || ' has it', \
      pg_catalog.pg_get_constraintdef(k.oid) \
    FROM part p JOIN pg_catalog.pg_constraint k ON k.conrelid = p.oid \
    WHERE p.name <> p.root AND k.conparentid = 0 AND k.coninhcount = 0 \
      AND k.contype IN ('p', 'u', 'x', 'f', 'c') \
    UNION ALL \
    SELECT 'index', p.root, c.relname::text, 'only the partition ' || p.name || ' has it', \
      pg_catalog.pg_get_indexdef(i.indexrelid) \
    FROM part p JOIN pg_catalog.pg_index i ON i.indrelid = p.oid \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    WHERE p.name <> p.root AND i.indisunique AND NOT c.relispartition \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid) \
    UNION ALL \
    SELECT 'trigger', p.root, t.tgname::text, 'only the partition ' || p.name || ' has it', \
      pg_catalog.pg_get_triggerdef(t.oid) \
    FROM part p JOIN pg_catalog.pg_trigger t ON t.tgrelid = p.oid \
    WHERE p.name <> p.root AND NOT t.tgisinternal AND t.tgparentid = 0";

/// Tables with rows in other schemas, without those that are read through a table of this one. The
/// chunks of a hypertable are its own, also where their rows are compressed into internal tables.
const SCHEMAS: &str = "\
    WITH RECURSIVE down (oid) AS ( \
      SELECT c.oid FROM pg_catalog.pg_class c \
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') \
      UNION SELECT i.inhrelid FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.oid), \
    other AS ( \
      SELECT n.nspname::text AS schema, r.relname::text AS name, \
        sum(pg_catalog.pg_relation_size(c.oid)) AS bytes \
      FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid \
        AND c.relnamespace = pg_catalog.to_regnamespace('_timescaledb_internal') \
      JOIN pg_catalog.pg_class r \
        ON r.oid = coalesce(pg_catalog.pg_partition_root(c.oid), h.inhparent, c.oid) \
      JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
      WHERE n.nspname <> $1 AND n.nspname <> 'information_schema' AND n.nspname !~ '^(pg|_timescaledb)_' \
        AND c.relkind = 'r' AND (h.inhparent IS NOT NULL OR pg_catalog.pg_relation_size(c.oid) > 0) \
        AND NOT EXISTS (SELECT FROM down WHERE down.oid = c.oid) \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = r.oid \
          AND d.deptype = 'e') \
      GROUP BY 1, 2) \
    SELECT 'schema', NULL, schema, 'only one schema is migrated (--schema); this one has ' \
      || count(*) || CASE count(*) WHEN 1 THEN ' table' ELSE ' tables' END || ' with rows (' \
      || pg_catalog.array_to_string((pg_catalog.array_agg(name ORDER BY name))[:5], ', ') \
      || CASE WHEN count(*) > 5 THEN ', ...' ELSE '' END || '; ' \
      || pg_catalog.pg_size_pretty(sum(bytes)) || ')', NULL \
    FROM other WHERE name <> '{ledger}' GROUP BY schema ORDER BY schema";

const LOSSES: [&str; 11] = [
    TRIGGERS,
    RULES,
    POLICIES,
    FUNCTIONS,
    IDENTITIES,
    SEQUENCES,
    DOMAINS,
    PARTS_OF_VALUES,
    PARTITIONS,
    SCHEMAS,
    GRANTEES,
];

/// Lists views, foreign tables, and sequences without a column. Reads the unchanged views of SQLite
/// with their definitions there.
pub(crate) fn relations(reader: &mut CatalogReader<'_>) -> Result<()> {
    let mut list = objects(reader, RELATIONS)?;
    reader.catalog.schema.left_out.append(&mut list);
    const VIEWS: &str = "\
        SELECT c.relname::text, pg_catalog.pg_get_viewdef(c.oid), \
          pg_catalog.obj_description(c.oid, 'pg_class') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind = 'v' ORDER BY c.oid";
    for row in reader.query(VIEWS)? {
        let origin = Note::parse(row.get(2)).facts;
        // The server has no definition of a view that was dropped since the query began.
        let made = row.get::<_, Option<&str>>(1).map(fingerprint);
        let original = origin["view"].as_str().filter(|_| made.as_deref() == origin[MADE].as_str());
        let view = original.map(|sql| View { name: row.get(0), definition: sql.to_owned() });
        reader.catalog.schema.views.extend(view);
    }
    Ok(())
}

/// Lists everything else, and the comments.
pub(crate) fn losses(reader: &mut CatalogReader<'_>) -> Result<()> {
    let schema = &reader.catalog.schema;
    let owners = schema.tables.iter().map(|table| &table.name);
    let owners: HashSet<String> =
        owners.chain(schema.left_out.iter().map(|left| &left.name)).cloned().collect();
    let mut list = Vec::new();
    for sql in LOSSES {
        list.append(&mut objects(reader, &sql.replace("{ledger}", TABLE))?);
    }
    list.append(&mut comments(reader)?);
    // Parts of the ledger and of the tables of extensions are no loss.
    list.retain(|left| left.table.as_ref().is_none_or(|table| owners.contains(table)));
    reader.catalog.lost.append(&mut list);
    Ok(())
}

fn objects(reader: &mut CatalogReader<'_>, sql: &str) -> Result<Vec<LeftOut>> {
    let mut list = Vec::new();
    for row in reader.query(sql)? {
        let kind: ObjectKind = serde_json::from_value(row.get::<_, String>(0).into())
            .map_err(|error| Error::failed("cannot read the catalog").caused_by(error))?;
        let object = LeftOut::object(kind, row.get(2), row.get(4));
        list.push(LeftOut { table: row.get(1), ..object.because(row.get::<_, String>(3)) });
    }
    Ok(list)
}

/// The users' own comments, by table.
fn comments(reader: &mut CatalogReader<'_>) -> Result<Vec<LeftOut>> {
    const SQL: &str = "\
        SELECT c.relname::text, d.description FROM ( \
          SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, oid, oid \
            FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
          UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid, indrelid \
            FROM pg_catalog.pg_index \
          UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, oid, conrelid \
            FROM pg_catalog.pg_constraint \
          UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, oid, tgrelid \
            FROM pg_catalog.pg_trigger \
          UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, oid, polrelid \
            FROM pg_catalog.pg_policy \
          UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, oid, ev_class \
            FROM pg_catalog.pg_rewrite) o (classoid, objoid, owner) \
        JOIN pg_catalog.pg_description d ON (d.classoid, d.objoid) = (o.classoid, o.objoid) \
        JOIN pg_catalog.pg_class c ON c.oid = o.owner \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 \
        UNION ALL SELECT NULL, d.description FROM pg_catalog.pg_namespace n \
        JOIN pg_catalog.pg_description d ON d.objoid = n.oid \
          AND d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
        WHERE n.nspname = $1 AND d.description <> 'standard public schema'";
    let mut by_table: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for row in reader.query(SQL)? {
        if !Note::parse(row.get(1)).text.is_empty() {
            *by_table.entry(row.get(0)).or_default() += 1;
        }
    }
    let listed = |(table, number): (Option<String>, u64)| {
        let name = plural(number, "comment", "comments");
        let object = LeftOut::object(ObjectKind::Comments, &name, None);
        let of_schema = if table.is_none() { " of the schema" } else { "" };
        let reason = format!("SQLite does not store comments{of_schema}");
        LeftOut { table, ..object.because(reason) }
    };
    Ok(by_table.into_iter().map(listed).collect())
}

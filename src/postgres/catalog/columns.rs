//! Columns: types (of domains: their base types), defaults, identity and generated columns.

use crate::error::Result;
use crate::postgres::catalog::model::{Catalog, ColumnFacts};
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::sql::parse;
use crate::schema::expression::{Collation, Expression, Sql};
use crate::schema::names::{literal, qualify, quote};
use crate::schema::note::Note;
use crate::schema::{Check, Column, Generated, LeftOut, ObjectKind};
use postgres::Row;

const SQL: &str = "\
    SELECT c.oid::bigint, a.attname::text, \
      pg_catalog.format_type(a.atttypid, a.atttypmod) AS declared, \
      b.typname::text AS base, bn.nspname::text AS base_schema, \
      pg_catalog.format_type(b.oid, u.typmod) AS base_type, \
      fn.nspname::text AS output_schema, f.proname::text AS output, u.domain, \
      a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
        WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] \
        AND NOT k.convalidated) OR u.not_null AS not_null, a.attidentity::text AS identity, \
      CASE b.typtype WHEN 'e' THEN ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e \
        WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) END AS labels, \
      d.tree !~ '\\{(SQLVALUEFUNCTION|NEXTVALUEEXPR|COERCEVIAIO|XMLEXPR|JSON|PARAM|SUBLINK)' \
        AND d.tree !~ 'COERCETODOMAIN.*:coercionformat [01]' \
        AND NOT EXISTS (SELECT \
          FROM pg_catalog.regexp_matches(d.tree, ':(?:op)?funcid ([0-9]+)', 'g') m (part) \
          JOIN pg_catalog.pg_proc p ON p.oid = m.part[1]::oid \
          WHERE p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace OR p.provolatile <> 'i' \
          AND p.prorettype <> 'pg_catalog.money'::pg_catalog.regtype) AS constant, \
      a.attgenerated::text AS generated, \
      coalesce(pg_catalog.pg_get_expr(ad.adbin, ad.adrelid), u.expression) AS expression, \
      l.collname::text AS collation, l.collname IN ('C', 'POSIX') \
        OR l.collname = 'default' AND db.datcollate IN ('C', 'POSIX') AS bytewise, \
      pg_catalog.col_description(c.oid, a.attnum) AS comment, u.checks, \
      (SELECT pg_catalog.format('%I.%I', sn.nspname, s.relname) FROM pg_catalog.pg_depend d \
        JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
        JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace \
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') \
        LIMIT 1) AS sequence \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_database db ON db.datname = pg_catalog.current_database() \
    JOIN pg_catalog.pg_attribute a \
      ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = c.oid AND ad.adnum = a.attnum \
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
    CROSS JOIN LATERAL ( \
      WITH RECURSIVE up (oid, typmod, depth) AS ( \
        SELECT a.atttypid, a.atttypmod, 0 \
        UNION ALL \
        SELECT t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE up.typmod END, \
          up.depth + 1 \
        FROM up JOIN pg_catalog.pg_type t ON t.oid = up.oid WHERE t.typtype = 'd') \
      SELECT (pg_catalog.array_agg(up.oid ORDER BY up.depth DESC))[1] AS oid, \
        (pg_catalog.array_agg(up.typmod ORDER BY up.depth DESC))[1] AS typmod, \
        max(up.depth) > 0 AS domain, pg_catalog.bool_or(t.typnotnull) AS not_null, \
        (pg_catalog.array_agg(pg_catalog.pg_get_expr(t.typdefaultbin, 0) ORDER BY up.depth) \
          FILTER (WHERE t.typdefaultbin IS NOT NULL))[1] AS expression, \
        (pg_catalog.array_agg(t.typdefaultbin::text ORDER BY up.depth) \
          FILTER (WHERE t.typdefaultbin IS NOT NULL))[1] AS tree, \
        ARRAY(SELECT pg_catalog.pg_get_expr(k.conbin, 0) FROM pg_catalog.pg_constraint k \
          JOIN up ON up.oid = k.contypid WHERE k.contype = 'c' AND k.convalidated \
          ORDER BY k.oid) AS checks \
      FROM up JOIN pg_catalog.pg_type t ON t.oid = up.oid) u \
    CROSS JOIN LATERAL (SELECT coalesce(ad.adbin::text, u.tree) AS tree) d \
    JOIN pg_catalog.pg_type b ON b.oid = u.oid \
    JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace \
    JOIN pg_catalog.pg_proc f ON f.oid = b.typoutput \
    JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace \
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
    ORDER BY c.oid, a.attnum";

/// The collations that order text by bytes, and the default one of the database.
const BYTEWISE: [&str; 7] =
    ["default", "C", "POSIX", "ucs_basic", "C.UTF-8", "C.utf8", "pg_c_utf8"];

pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    for (index, row) in reader.table_rows(SQL)? {
        let Catalog { schema, facts, lost } = &mut reader.catalog;
        let table = &mut schema.tables[index];
        let name: String = row.get("attname");
        let checks: Vec<Option<String>> = row.get("checks");
        let checks = checks
            .into_iter()
            .flatten()
            .map(|text| Check { name: None, condition: parse::sql(text, Some(&name)) });
        table.checks.extend(checks);
        table.columns.push(column(&row));
        let facts = facts.entry(table.name.clone()).or_default();
        facts.columns.push(column_facts(&row));
        let labels: Option<Vec<String>> = row.get("labels");
        facts.checks.extend(labels.map(|labels| one_of(&name, labels)));
        let collation: Option<&str> = row.get("collation");
        let unknown = collation.filter(|name| !BYTEWISE.contains(name));
        if let Some(collation) = unknown {
            let listed = LeftOut::part(ObjectKind::Column, &table.name, &name, None);
            let reason = format!("collation {collation} becomes SQLite's BINARY");
            lost.push(listed.because(reason));
        }
    }
    Ok(())
}

/// The CHECK of a column of an enum.
fn one_of(column: &str, labels: Vec<String>) -> Check {
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    let text = format!("{} IN ({})", quote(column), list.join(", "));
    let operand = Box::new(Expression::Column(column.to_owned()));
    let list: Vec<Expression> = labels.into_iter().map(Expression::String).collect();
    let tree = match list.is_empty() {
        // SQLite's IN () is false for NULL.
        true => Expression::IsNull { operand, negated: false },
        false => Expression::In { operand, list, negated: false },
    };
    Check { name: None, condition: Sql { text, tree: Some(tree) } }
}

/// Whether the expression is the next value of a sequence, unchanged.
fn is_next_value(expression: &str) -> bool {
    const END: &str = "'::regclass)";
    let whole = expression.starts_with("nextval('") && expression.ends_with(END);
    whole && expression.matches(END).count() == 1
}

fn column(row: &Row) -> Column {
    let expression: Option<String> = row.get("expression");
    let counts = !row.get::<_, &str>("identity").is_empty()
        || expression.as_deref().is_some_and(is_next_value);
    let identity = counts && row.get::<_, Option<&str>>("sequence").is_some();
    let expression = expression.map(|text| parse::sql(text, None));
    let is_generated = !row.get::<_, &str>("generated").is_empty();
    let citext = row.get::<_, &str>("base") == "citext";
    let (generated, default) = match expression {
        Some(expression) if is_generated => {
            let stored = row.get::<_, &str>("generated") == "s";
            (Some(Generated { expression, stored }), None)
        }
        other => (None, other.filter(|_| !identity)),
    };
    Column {
        name: row.get("attname"),
        declared: row.get("declared"),
        not_null: row.get("not_null"),
        default,
        collation: if citext { Collation::NoCase } else { Collation::Binary },
        generated,
        identity,
        conflict: None,
    }
}

fn column_facts(row: &Row) -> ColumnFacts {
    let builtin = row.get::<_, &str>("base_schema") == "pg_catalog";
    ColumnFacts {
        base: if builtin { row.get("base") } else { String::new() },
        base_type: row.get("base_type"),
        output: qualify(row.get("output_schema"), row.get("output")),
        domain: row.get("domain"),
        constant_default: row.get::<_, Option<bool>>("constant").unwrap_or(false),
        bytewise: row.get::<_, Option<bool>>("bytewise").unwrap_or(false),
        sequence: row.get("sequence"),
        origin: Note::parse(row.get("comment")).facts,
    }
}

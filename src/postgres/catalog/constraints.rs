//! Constraints: primary keys, unique keys, foreign keys and checks.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::sql::parse;
use crate::schema::expression::{Collation, Expression, Sql};
use crate::schema::names::quote;
use crate::schema::{Action, Check, Deferrable, ForeignKey, Key, KeyColumn, LeftOut, ObjectKind};
use postgres::Row;

const SQL: &str = "\
    SELECT c.oid::bigint, k.conname::text AS name, k.contype::text AS kind, \
      ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, position) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num \
        ORDER BY u.position) AS columns, \
      ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, position) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num \
        ORDER BY u.position) AS parent_columns, \
      p.relname::text AS parent, pn.nspname = $1 AS same_schema, \
      k.confupdtype::text AS on_update, k.confdeltype::text AS on_delete, \
      k.condeferrable, k.condeferred, k.convalidated, k.confmatchtype = 'f' AS match_full, \
      k.connoinherit AND EXISTS (SELECT FROM pg_catalog.pg_inherits i \
        WHERE i.inhparent = c.oid) AS not_of_children, \
      coalesce((j.k->>'conenforced')::boolean, true) AS enforced, \
      coalesce((j.k->>'conperiod')::boolean, false) AS period, \
      coalesce(pg_catalog.jsonb_array_length(nullif(j.k->'confdelsetcols', 'null')) \
        < pg_catalog.cardinality(k.conkey), false) AS sets_some, \
      coalesce((pg_catalog.to_jsonb(i)->>'indnullsnotdistinct')::boolean, false) AS nulls_equal, \
      pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS condition, \
      pg_catalog.pg_get_constraintdef(k.oid) AS definition \
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_class p ON p.oid = k.confrelid \
    LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u') \
    CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(k) AS k) j \
    WHERE n.nspname = $1 AND k.conparentid = 0 AND (k.contype IN ('p', 'u', 'f', 'c', 'x') \
      OR k.contype = 'n' AND NOT k.convalidated) \
    ORDER BY c.oid, k.oid";

/// Reads the constraints of all tables. Those that SQLite cannot have, or that do not hold, are
/// listed as not migrated.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    for (index, row) in reader.table_rows(SQL)? {
        // The server has no definition of a constraint that was dropped since the query began.
        let Some(definition) = row.get::<_, Option<String>>("definition") else { continue };
        let Catalog { schema, facts, lost } = &mut reader.catalog;
        let table = &mut schema.tables[index];
        let name: String = row.get("name");
        let kind = match row.get("kind") {
            "p" => ObjectKind::PrimaryKey,
            "f" => ObjectKind::ForeignKey,
            "c" | "n" => ObjectKind::Check,
            _ => ObjectKind::Unique,
        };
        let listed = |reason: &str| {
            LeftOut::part(kind, &table.name, &name, Some(&definition)).because(reason)
        };
        lost.extend(weaker(&row, kind).map(listed));
        if let Some(reason) = missing(&row, kind) {
            schema.left_out.push(listed(reason));
            if kind == ObjectKind::Check || row.get::<_, &str>("kind") == "x" {
                continue;
            }
        }
        match kind {
            ObjectKind::PrimaryKey => table.primary_key = Some(key(&row)),
            ObjectKind::Unique => table.uniques.push(key(&row)),
            ObjectKind::Check => {
                let text = row.get::<_, Option<String>>("condition").unwrap_or_default();
                let condition = parse::sql(text, None);
                table.checks.push(Check { name: Some(name), condition });
            }
            _ => {
                let facts = facts.entry(table.name.clone()).or_default();
                let key = foreign_key(&row);
                if !row.get::<_, bool>("convalidated") {
                    facts.not_valid.insert(name);
                } else if row.get("match_full") && !row.get::<_, bool>("not_of_children") {
                    facts.checks.extend(match_full(&key));
                }
                table.foreign_keys.push(key);
            }
        }
    }
    Ok(())
}

/// Why SQLite does not get the constraint.
fn missing(row: &Row, kind: ObjectKind) -> Option<&'static str> {
    let is = |column: &str| row.get::<_, Option<bool>>(column).unwrap_or(false);
    let rules = [
        (row.get::<_, &str>("kind") == "x", "SQLite has no exclusion constraints"),
        (!is("enforced"), "PostgreSQL does not enforce it either (NOT ENFORCED)"),
        (
            kind == ObjectKind::Check && !is("convalidated"),
            "it holds for new rows only (NOT VALID)",
        ),
        (
            kind == ObjectKind::Check && is("not_of_children"),
            "it does not hold for the rows of child tables (NO INHERIT)",
        ),
        (
            kind == ObjectKind::ForeignKey && !is("same_schema"),
            "it refers to a table of another schema",
        ),
        (kind == ObjectKind::ForeignKey && is("period"), "SQLite has no periods (PERIOD)"),
    ];
    rules.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
}

/// What a constraint that SQLite gets does not do there.
fn weaker(row: &Row, kind: ObjectKind) -> impl Iterator<Item = &'static str> {
    let is = |column: &str| row.get::<_, bool>(column);
    let is_key = kind == ObjectKind::PrimaryKey
        || kind == ObjectKind::Unique && row.get::<_, &str>("kind") != "x";
    let several = row.get::<_, Vec<String>>("columns").len() > 1;
    let rules = [
        (
            is_key && is("condeferrable"),
            "SQLite checks it for each row, not for the whole statement or transaction \
             (DEFERRABLE)",
        ),
        (is_key && is("nulls_equal"), "SQLite's unique keys allow any number of NULLs"),
        (is_key && is("period"), "SQLite accepts periods that overlap (WITHOUT OVERLAPS)"),
        (
            is("sets_some"),
            "SQLite can only change all of its columns when the parent is deleted; it becomes ON \
             DELETE NO ACTION",
        ),
        (
            is("match_full") && several && (is("not_of_children") || !is("convalidated")),
            "SQLite ignores MATCH FULL, which existing rows may violate",
        ),
    ];
    rules.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason)
}

/// The CHECKs of MATCH FULL: all columns are NULL, or none is.
fn match_full(key: &ForeignKey) -> impl Iterator<Item = Check> {
    key.columns.windows(2).map(|pair| {
        let is_null = |name: &String| {
            let operand = Box::new(Expression::Column(name.clone()));
            Box::new(Expression::IsNull { operand, negated: false })
        };
        let text = format!("({} IS NULL) = ({} IS NULL)", quote(&pair[0]), quote(&pair[1]));
        let tree = Expression::Binary(is_null(&pair[0]), "=", is_null(&pair[1]));
        Check { name: None, condition: Sql { text, tree: Some(tree) } }
    })
}

fn key(row: &Row) -> Key {
    let columns: Vec<String> = row.get("columns");
    let column = |name| KeyColumn { name, collation: Collation::Binary, descending: false };
    Key { name: Some(row.get("name")), columns: columns.into_iter().map(column).collect() }
}

fn foreign_key(row: &Row) -> ForeignKey {
    let deferrable = match (row.get("condeferrable"), row.get("condeferred")) {
        (false, _) => Deferrable::No,
        (true, false) => Deferrable::InitiallyImmediate,
        (true, true) => Deferrable::InitiallyDeferred,
    };
    ForeignKey {
        name: Some(row.get("name")),
        columns: row.get("columns"),
        parent: row.get("parent"),
        parent_columns: row.get("parent_columns"),
        on_delete: match row.get("sets_some") {
            true => Action::NoAction,
            false => action(row.get("on_delete")),
        },
        on_update: action(row.get("on_update")),
        deferrable,
    }
}

/// The action of a letter of `pg_constraint.confdeltype`.
fn action(letter: &str) -> Action {
    match letter {
        "r" => Action::Restrict,
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::NoAction,
    }
}

//! Constraints: primary keys, unique keys, foreign keys and checks.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::sql::parse;
use crate::schema::note::Note;
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
      pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS condition, \
      pg_catalog.pg_get_constraintdef(k.oid) AS definition, \
      pg_catalog.obj_description(k.oid, 'pg_constraint') AS comment \
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_class p ON p.oid = k.confrelid \
    LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
    WHERE n.nspname = $1 AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 \
    ORDER BY c.oid, k.oid";

/// Reads the constraints of all tables. Those that are in force but that SQLite cannot have are
/// also listed as not migrated.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    for (index, row) in reader.table_rows(SQL)? {
        // The server has no definition of a constraint that was dropped since the query began.
        let Some(definition) = row.get::<_, Option<String>>("definition") else { continue };
        let Catalog { schema, facts } = &mut reader.catalog;
        let table = &mut schema.tables[index];
        let name: String = row.get("name");
        let origin = Note::parse(row.get("comment")).facts;
        facts.entry(table.name.clone()).or_default().constraints.insert(name.clone(), origin);
        let validated: bool = row.get("convalidated");
        let kind = row.get::<_, &str>("kind");
        let listed = match kind {
            "u" if definition.contains("NULLS NOT DISTINCT") => {
                Some((ObjectKind::Unique, "SQLite's unique keys allow any number of NULLs"))
            }
            "c" if !validated => {
                Some((ObjectKind::Check, "it holds for new rows only (NOT VALID)"))
            }
            "x" => Some((ObjectKind::Unique, "SQLite has no exclusion constraints")),
            "f" if row.get("match_full") => {
                Some((ObjectKind::ForeignKey, "SQLite ignores MATCH FULL"))
            }
            "f" if !row.get::<_, Option<bool>>("same_schema").unwrap_or(false) => {
                Some((ObjectKind::ForeignKey, "it refers to a table of another schema"))
            }
            _ => None,
        };
        if let Some((kind, reason)) = listed {
            let listed = LeftOut::part(kind, &table.name, &name, Some(&definition));
            schema.left_out.push(listed.because(reason));
        }
        match kind {
            "p" => table.primary_key = Some(key(&row)),
            "u" => table.uniques.push(key(&row)),
            "c" if validated => {
                let text = row.get::<_, Option<String>>("condition").unwrap_or_default();
                let condition = parse::sql(text, None);
                table.checks.push(Check { name: Some(name), condition });
            }
            "f" => {
                if !validated {
                    facts.entry(table.name.clone()).or_default().not_valid.insert(name);
                }
                table.foreign_keys.push(foreign_key(&row));
            }
            _ => {}
        }
    }
    Ok(())
}

fn key(row: &Row) -> Key {
    let columns: Vec<String> = row.get("columns");
    let column = |name| KeyColumn { name, ..KeyColumn::default() };
    let columns = columns.into_iter().map(column).collect();
    Key { name: Some(row.get("name")), columns, conflict: None }
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
        on_delete: action(row.get("on_delete")),
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

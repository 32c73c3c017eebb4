//! Restoring what was attached to tables and views that were dropped and created again.

use crate::error::Result;
use crate::postgres::attached::{Attached, AttachedByTable, read_whole};
use crate::postgres::catalog::target_objects::{CatalogObject, existing, in_savepoint};
use crate::postgres::errors::{db_error, describe, is_refusal, sqlstate};
use crate::schema::names::{qualify, quote};
use crate::schema::note::Note;
use crate::schema::{LeftOut, ObjectKind};
use postgres::Transaction;
use std::collections::{HashMap, HashSet};

/// The reason for an object that no run restores, and for all that was attached to a table that is gone.
pub(super) const DROPPED: &str = "dropped with its table; the run does not create it again";

/// Restores what is `attached` to tables and views of `schema`, and nothing else: what default
/// privileges have granted to others is revoked first, as long as the run owns the tables. Returns
/// what could not be restored: the grants that are withheld because others would see more than
/// before, then the rest.
/// `indexes` has the names of the indexes that exist in the end. A `trial` runs before all indexes
/// exist.
pub(crate) fn restore(
    transaction: &mut Transaction<'_>,
    schema: &str,
    attached: &AttachedByTable,
    indexes: &HashSet<String>,
    trial: bool,
) -> Result<Vec<LeftOut>> {
    if attached.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!("cannot restore the definitions of schema {}", quote(schema));
    let facts = facts(transaction, schema, attached)?;
    revoke(transaction, schema, attached)?;
    let (mut withheld, mut failed) = (Vec::new(), Vec::new());
    for (table, list) in attached {
        let mut missing: Option<String> = None;
        for one in list {
            let is_tried = one.kind != ObjectKind::Setting && !one.name.starts_with("INDEX ");
            if !one.is_restored() {
                if one.kind != ObjectKind::Index || !indexes.contains(&one.name) {
                    failed.push(one.left_out(table, DROPPED));
                }
            } else if let (ObjectKind::Grant, Some(missing)) = (one.kind, &missing) {
                let reason = format!("withheld, because {missing} cannot be restored");
                withheld.push(one.left_out(table, reason));
            } else if !trial || is_tried {
                let error = match in_savepoint(transaction, &with_facts(one, &facts)) {
                    Ok(()) => continue,
                    Err(error) if is_final(&error) => describe(&error),
                    Err(error) => return Err(db_error(&what)(error)),
                };
                if one.protects {
                    missing = Some(format!("{} {}", one.kind.as_str(), quote(&one.name)));
                }
                failed.push(one.left_out(table, format!("cannot be restored: {error}")));
            }
        }
    }
    withheld.append(&mut failed);
    Ok(withheld)
}

/// The statement for `one`. The comment of an object that has facts of ours keeps them.
fn with_facts(one: &Attached, facts: &HashMap<String, Note>) -> String {
    let note = facts.get(&one.name).filter(|_| one.kind == ObjectKind::Comment);
    let note = note.and_then(|note| Note { text: one.sql.clone(), ..note.clone() }.render());
    match note {
        Some(sql) => Attached { sql, ..one.clone() }.statement(),
        None => one.statement(),
    }
}

/// The comments of the new tables and views, by the objects that they describe.
fn facts(
    transaction: &mut Transaction<'_>,
    schema: &str,
    attached: &AttachedByTable,
) -> Result<HashMap<String, Note>> {
    let existing = existing(transaction, schema)?;
    let is_restored = |object: &&CatalogObject| attached.contains_key(&object.name);
    let oids: HashSet<i64> = existing.iter().filter(is_restored).map(|object| object.oid).collect();
    let is_part = |object: &CatalogObject| object.owner_oid.is_some_and(|oid| oids.contains(&oid));
    let (restored, _): (Vec<_>, Vec<_>) =
        existing.into_iter().partition(|object| oids.contains(&object.oid) || is_part(object));
    let comments = read_whole(transaction, &restored)?.into_values().flatten();
    let comments = comments.filter(|one| one.kind == ObjectKind::Comment);
    Ok(comments.map(|one| (one.name, Note::parse(Some(&one.sql)))).collect())
}

/// Whether another attempt would fail, too.
fn is_final(error: &postgres::Error) -> bool {
    const CLASSES: [&str; 4] = ["0L", "0P", "55", "P0"];
    let code = sqlstate(error).unwrap_or_default();
    is_refusal(error) || CLASSES.iter().any(|class| code.starts_with(class)) && code != "55P03"
}

/// Denies others the access to new tables whose row-level security and grants are not restored yet.
/// Default privileges may have granted it.
pub(crate) fn protect(
    transaction: &mut Transaction<'_>,
    schema: &str,
    attached: &AttachedByTable,
) -> Result<()> {
    for (table, list) in attached {
        if list.iter().any(|one| one.kind == ObjectKind::RowSecurity) {
            let sql = format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", qualify(schema, table));
            transaction.batch_execute(&sql).map_err(db_error("cannot protect a table"))?;
        }
    }
    revoke(transaction, schema, attached)
}

/// Revokes all privileges of others on the tables and views in `attached` and the sequences of their
/// columns.
fn revoke(
    transaction: &mut Transaction<'_>,
    schema: &str,
    attached: &AttachedByTable,
) -> Result<()> {
    const SQL: &str = "\
        SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', \
          CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::pg_catalog.regclass, \
          CASE a.grantee WHEN 0 THEN 'PUBLIC' \
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END) \
        FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace \
        JOIN pg_catalog.pg_class c ON c.oid = t.oid OR c.relkind = 'S' AND EXISTS ( \
          SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.refobjid = t.oid \
          AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')), \
        LATERAL pg_catalog.aclexplode(c.relacl) a \
        WHERE n.nspname = $1 AND t.relname = ANY ($2) AND a.grantee <> c.relowner";
    let failed = db_error("cannot revoke privileges on a table");
    let tables: Vec<&String> = attached.keys().collect();
    for row in transaction.query(SQL, &[&schema, &tables]).map_err(&failed)? {
        transaction.batch_execute(row.get(0)).map_err(&failed)?;
    }
    Ok(())
}

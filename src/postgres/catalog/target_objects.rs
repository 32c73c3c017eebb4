//! The objects in the target schema, and dropping them.

use crate::error::{Error, Result};
use crate::postgres::errors::{classify, db_error, describe};
use crate::postgres::ledger;
use crate::schema::ObjectKind;
use crate::schema::names::{qualify, quote};
use postgres::error::SqlState;
use postgres::{Client, GenericClient};

/// Seconds to wait for a lock while dropping: in a maintenance window no other session holds one.
const LOCK_TIMEOUT_SECS: u32 = 10;

/// An object in the target schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CatalogObject {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    /// It is dropped together with another object: an index, a column's sequence, a partition.
    pub(crate) is_dependent: bool,
    pub(crate) oid: i64,
    /// The object id of the table that an index, a sequence or a partition belongs to.
    pub(crate) owner_oid: Option<i64>,
}

/// Lists the relations and types of a schema, without the ledger, members of extensions, and the
/// row and array types of relations.
pub(crate) fn existing(
    client: &mut impl GenericClient,
    schema: &str,
) -> Result<Vec<CatalogObject>> {
    const SQL: &str = "\
        SELECT c.relname::text, c.relkind::text, \
          c.relkind IN ('i', 'I') OR c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') \
            AND c.relkind = 'S'), c.oid::bigint, \
          (SELECT i.indrelid::bigint FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid UNION ALL \
            SELECT d.refobjid::bigint FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') \
            AND c.relkind = 'S' UNION ALL \
            SELECT p.inhparent::bigint FROM pg_catalog.pg_inherits p \
            WHERE p.inhrelid = c.oid AND c.relispartition AND c.relkind IN ('r', 'p', 'f') LIMIT 1) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c') \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
        UNION ALL \
        SELECT t.typname::text, 'T', false, t.oid::bigint, NULL \
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        WHERE n.nspname = $1 AND t.typtype IN ('e', 'd', 'r') \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')";
    let rows =
        client.query(SQL, &[&schema]).map_err(db_error("cannot read the target's catalog"))?;
    let mut all: Vec<CatalogObject> = rows
        .iter()
        .map(|row| CatalogObject {
            name: row.get(0),
            kind: match row.get::<_, &str>(1) {
                "r" | "p" => ObjectKind::Table,
                "v" => ObjectKind::View,
                "m" => ObjectKind::MaterializedView,
                "f" => ObjectKind::ForeignTable,
                "S" => ObjectKind::Sequence,
                "i" | "I" => ObjectKind::Index,
                _ => ObjectKind::Type,
            },
            is_dependent: row.get(2),
            oid: row.get(3),
            owner_oid: row.get(4),
        })
        .filter(|object| {
            object.name != ledger::TABLE && object.name != format!("{}_pkey", ledger::TABLE)
        })
        .collect();
    all.sort_unstable();
    Ok(all)
}

/// Drops `objects`, and the ledger if `with_ledger`, inside the given transaction.
///
/// Nothing else is dropped: a dependent object outside of `objects` is an error that names it. A
/// missing object is accepted, because the reply to an earlier commit may have been lost.
pub(crate) fn drop_objects(
    transaction: &mut postgres::Transaction<'_>,
    schema: &str,
    objects: &[CatalogObject],
    with_ledger: bool,
) -> Result<()> {
    let what = format!("cannot drop the objects in schema {}", quote(schema));
    transaction
        .batch_execute(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECS}s'"))
        .map_err(db_error(&what))?;
    let names = |kind: ObjectKind| -> Vec<String> {
        objects
            .iter()
            .filter(|object| object.kind == kind && !object.is_dependent)
            .map(|object| qualify(schema, &object.name))
            .collect()
    };
    // Views depend on views and types on types, in any order: each is dropped once none depends on it.
    let single = |kind: ObjectKind| {
        let word = kind.as_str().to_uppercase();
        names(kind).into_iter().map(move |name| format!("DROP {word} IF EXISTS {name} RESTRICT"))
    };
    let views = single(ObjectKind::View).chain(single(ObjectKind::MaterializedView));
    drop_in_rounds(transaction, views.collect(), &what)?;
    let mut tables = names(ObjectKind::Table);
    tables.extend(with_ledger.then(|| qualify(schema, ledger::TABLE)));
    let lists = [
        ("FOREIGN TABLE", names(ObjectKind::ForeignTable)),
        ("TABLE", tables),
        ("SEQUENCE", names(ObjectKind::Sequence)),
    ];
    for (kind, list) in lists {
        if !list.is_empty() {
            transaction
                .batch_execute(&format!("DROP {kind} IF EXISTS {} RESTRICT", list.join(", ")))
                .map_err(|error| refusal(&what, &error))?;
        }
    }
    drop_in_rounds(transaction, single(ObjectKind::Type).collect(), &what)
}

fn drop_in_rounds(
    transaction: &mut postgres::Transaction<'_>,
    mut statements: Vec<String>,
    what: &str,
) -> Result<()> {
    while !statements.is_empty() {
        let mut left = Vec::new();
        let mut refused = None;
        for statement in std::mem::take(&mut statements) {
            if let Err(error) = in_savepoint(transaction, &statement) {
                refused = Some(error);
                left.push(statement);
            } else {
                statements.push(statement);
            }
        }
        match refused {
            // No statement succeeded: an object outside of the list depends on the rest.
            Some(error) if statements.is_empty() => return Err(refusal(what, &error)),
            _ => statements = left,
        }
    }
    Ok(())
}

fn refusal(what: &str, error: &postgres::Error) -> Error {
    if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
        // The detail lists names, never values.
        let detail = error.as_db_error().and_then(|report| report.detail()).unwrap_or_default();
        return Error::refused(what)
            .caused_by(format!("another object depends on it: {}", detail.replace('\n', "; ")))
            .hint("drop or move the named objects, then run again");
    }
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return Error::refused(what)
            .caused_by("another session holds a lock on one of them")
            .hint("stop the service and end other sessions on the target, then run again");
    }
    classify(Error::refused(what).caused_by(describe(error)), error)
}

/// Runs a statement in a savepoint, so that a failure leaves the transaction unchanged.
pub(crate) fn in_savepoint(
    transaction: &mut postgres::Transaction<'_>,
    statement: &str,
) -> std::result::Result<(), postgres::Error> {
    let mut savepoint = transaction.transaction()?;
    savepoint.batch_execute(statement)?;
    savepoint.commit()
}

/// The identity of a schema on a running server. It does not depend on the connection string.
pub(crate) fn schema_id(client: &mut Client, schema: &str) -> Result<String> {
    const SQL: &str = "\
        SELECT pg_catalog.pg_postmaster_start_time()::text || ' ' || oid::text \
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let row = client.query_one(SQL, &[]).map_err(db_error("cannot identify the target"))?;
    Ok(format!("{} {}", row.get::<_, String>(0), quote(schema)))
}

/// The identity of a schema on its server, also after a restart.
pub(crate) fn lasting_schema_id(client: &mut Client, schema: &str) -> Result<String> {
    const SQL: &str = "\
        SELECT d.oid::text, d.datname::text, n.oid::text FROM pg_catalog.pg_database d, \
        pg_catalog.pg_namespace n WHERE datname = pg_catalog.current_database() AND nspname = $1";
    let row = client.query_one(SQL, &[&schema]).map_err(db_error("cannot identify the schema"))?;
    let [database, name, number] = [0, 1, 2].map(|column| row.get::<_, String>(column));
    Ok(format!("{} ({database}), {} ({number})", quote(&name), quote(schema)))
}

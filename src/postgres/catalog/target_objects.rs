//! The target before the first row: what is in it, what is dropped, and the trial of everything
//! that will be defined.

use crate::error::{Error, Result};
use crate::postgres::errors::{classify, db_error, describe};
use crate::postgres::ledger;
use crate::schema::names::{qualify, quote};
use postgres::error::SqlState;
use postgres::{Client, GenericClient};
use std::collections::HashSet;

/// Seconds to wait for a lock while dropping: in a maintenance window nobody should hold one.
const LOCK_SECONDS: u32 = 10;

/// A kind of thing in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectClass {
    View,
    MaterializedView,
    ForeignTable,
    Table,
    Sequence,
    Type,
    Index,
}

impl ObjectClass {
    /// The word a person reads.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
            Self::Table => "table",
            Self::Sequence => "sequence",
            Self::Type => "type",
            Self::Index => "index",
        }
    }
}

/// A thing in the target schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CatalogObject {
    /// What it is.
    pub(crate) kind: ObjectClass,
    /// Its name.
    pub(crate) name: String,
    /// It goes when something else goes: an index, a sequence of a column, a partition.
    pub(crate) is_dependent: bool,
    /// Its number on the server.
    pub(crate) oid: i64,
    /// The number of the table with which it goes, of an index or sequence.
    pub(crate) of: Option<i64>,
}

/// Lists what the schema holds: relations and types, without members of extensions, the ledger,
/// and the row types and array types that come and go with relations.
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
            AND c.relkind = 'S' LIMIT 1) \
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
                "r" | "p" => ObjectClass::Table,
                "v" => ObjectClass::View,
                "m" => ObjectClass::MaterializedView,
                "f" => ObjectClass::ForeignTable,
                "S" => ObjectClass::Sequence,
                "i" | "I" => ObjectClass::Index,
                _ => ObjectClass::Type,
            },
            is_dependent: row.get(2),
            oid: row.get(3),
            of: row.get(4),
        })
        .filter(|thing| {
            thing.name != ledger::TABLE && thing.name != format!("{}_pkey", ledger::TABLE)
        })
        .collect();
    all.sort_unstable();
    Ok(all)
}

/// Drops everything of `things`, and the ledger where nothing is left for it to tell of, inside the
/// transaction at hand. Nothing else goes with it: where something depends on what is dropped, that
/// is the error. What is gone already is no error: the answer to an earlier commit may be lost.
///
/// # Errors
/// Refused, naming the dependant; or the server's error.
pub(crate) fn drop_things(
    transaction: &mut postgres::Transaction<'_>,
    schema: &str,
    things: &[CatalogObject],
    with_ledger: bool,
) -> Result<()> {
    let what = format!("cannot drop what is in schema {}", quote(schema));
    transaction
        .batch_execute(&format!("SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        .map_err(db_error(&what))?;
    let names = |kind: ObjectClass| -> Vec<String> {
        things
            .iter()
            .filter(|thing| thing.kind == kind && !thing.is_dependent)
            .map(|thing| qualify(schema, &thing.name))
            .collect()
    };
    // Views may stand on views in any order, and types on types: each goes once nothing needs it.
    let views = names(ObjectClass::View)
        .into_iter()
        .map(|name| format!("DROP VIEW IF EXISTS {name} RESTRICT"));
    let materialized = names(ObjectClass::MaterializedView)
        .into_iter()
        .map(|name| format!("DROP MATERIALIZED VIEW IF EXISTS {name} RESTRICT"));
    drop_in_turn(transaction, views.chain(materialized).collect(), &what)?;
    let mut tables = names(ObjectClass::Table);
    tables.extend(with_ledger.then(|| qualify(schema, ledger::TABLE)));
    let lists = [
        ("FOREIGN TABLE", names(ObjectClass::ForeignTable)),
        ("TABLE", tables),
        ("SEQUENCE", names(ObjectClass::Sequence)),
    ];
    for (kind, list) in lists {
        if !list.is_empty() {
            transaction
                .batch_execute(&format!("DROP {kind} IF EXISTS {} RESTRICT", list.join(", ")))
                .map_err(|error| refusal(&what, &error))?;
        }
    }
    let types = names(ObjectClass::Type)
        .into_iter()
        .map(|name| format!("DROP TYPE IF EXISTS {name} RESTRICT"));
    drop_in_turn(transaction, types.collect(), &what)
}

fn drop_in_turn(
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
            // Nothing went in this round: what is left stands on something we do not drop.
            Some(error) if statements.is_empty() => return Err(refusal(what, &error)),
            _ => statements = left,
        }
    }
    Ok(())
}

fn refusal(what: &str, error: &postgres::Error) -> Error {
    if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
        // The detail lists names of the catalog, never values.
        let detail = error.as_db_error().and_then(|report| report.detail()).unwrap_or_default();
        return Error::refused(what)
            .caused_by(format!("something outside depends on it: {}", detail.replace('\n', "; ")))
            .hint("drop or move what is named, then run again");
    }
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return Error::refused(what)
            .caused_by("somebody else holds a lock on it")
            .hint("stop the service and end other sessions on the target, then run again");
    }
    classify(Error::refused(what).caused_by(describe(error)), error)
}

/// Runs a statement in a savepoint, so that its failure leaves the transaction as it was.
pub(crate) fn in_savepoint(
    transaction: &mut postgres::Transaction<'_>,
    statement: &str,
) -> std::result::Result<(), postgres::Error> {
    let mut savepoint = transaction.transaction()?;
    savepoint.batch_execute(statement)?;
    savepoint.commit()
}

/// What of `wanted` is there already.
pub(crate) fn in_the_way<'a>(
    existing: &'a [CatalogObject],
    wanted: &HashSet<String>,
) -> Vec<&'a CatalogObject> {
    existing.iter().filter(|thing| wanted.contains(&thing.name)).collect()
}

/// What tells a schema of a database on a server from any other, however it is connected to.
pub(crate) fn schema_id(client: &mut Client, schema: &str) -> Result<String> {
    const SQL: &str = "\
        SELECT pg_catalog.pg_postmaster_start_time()::text || ' ' || oid::text \
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let row = client.query_one(SQL, &[]).map_err(db_error("cannot identify the target"))?;
    Ok(format!("{} {}", row.get::<_, String>(0), quote(schema)))
}

/// What tells a schema of a database from others on its server, also after a restart.
pub(crate) fn lasting_schema_id(client: &mut Client, schema: &str) -> Result<String> {
    const SQL: &str = "\
        SELECT d.oid::text, d.datname::text, n.oid::text FROM pg_catalog.pg_database d, \
        pg_catalog.pg_namespace n WHERE datname = pg_catalog.current_database() AND nspname = $1";
    let row = client.query_one(SQL, &[&schema]).map_err(db_error("cannot identify the schema"))?;
    let [database, name, number] = [0, 1, 2].map(|schema_id| row.get::<_, String>(schema_id));
    Ok(format!("{} ({database}), {} ({number})", quote(&name), quote(schema)))
}

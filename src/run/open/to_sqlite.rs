//! Opening: both databases of a data set, and the source held still.

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::error::{Error, Result};
use crate::options::{DataSet, Location, Options, Verify};
use crate::plan::to_sqlite::build::build_plan;
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::postgres::catalog;
use crate::postgres::connect::connect;
use crate::postgres::connect::session::Session;
use crate::postgres::copy_out::{Snapshot, TupleReader};
use crate::postgres::errors::db_error;
use crate::postgres::lease::advisory_lock;
use crate::postgres::ledger::Ledger;
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::data_set::to_sqlite::SqliteLoad;
use crate::run::open::cancel_statements;
use crate::schema::names::{qualify, quote};
use crate::sqlite::write::staged_file::TargetFile;
use postgres::Client;
use serde_json::Value;

/// The keys of the advisory locks that all sessions of a data set hold, as readers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locks {
    /// That of the schema, which a run that fills it holds for itself.
    schema: i64,
    /// One that no other run has: when this run is interrupted, the statements of the sessions
    /// that hold it are cancelled, and nobody else's.
    own: i64,
}

impl Locks {
    fn new(schema: &str) -> Self {
        Self { schema: advisory_lock::key(schema), own: fastrand::i64(..) }
    }
}

/// Opens one data set: connects, holds the source still, looks at the target, and plans.
///
/// # Errors
/// Whatever keeps it from being planned; nothing has been written then.
pub(crate) fn open(data_set: &DataSet, env: &RunEnv<'_>) -> Result<SqliteLoad> {
    let RunEnv { options, resources, control, canceller } = *env;
    let (Location::Postgres(source), Location::Sqlite(file)) = (&data_set.source, &data_set.target)
    else {
        return Err(Error::refused("all data sets of a run go the same way"));
    };
    let connection = Connection::parse(
        source.reveal(),
        &Environment::of_this_process(),
        data_set.defaults.clone(),
    )?;
    let place = TargetFile::inspect(file, data_set.file_mode)?;
    let only_compare = matches!(options.verify, Verify::Only(_));
    if !only_compare {
        refuse_occupied(&place, options)?;
    }
    let Session { client: mut keeper, schema, .. } = connect(&connection, "control")?;
    let schema = choose_schema(&mut keeper, options.schema.clone(), schema)?;
    let locks = Locks::new(&schema);
    share_locks(&mut keeper, &schema, locks)?;
    cancel_statements(canceller, &connection, locks.own);
    let types = types_of_earlier_run(&mut keeper, &schema)?;
    // Asked once for the names to lock, and again under the locks.
    let first = catalog::read(&mut keeper, &schema)?;
    let names: Vec<String> =
        first.schema.tables.iter().map(|table| qualify(&schema, &table.name)).collect();
    let mut snapshot = Snapshot::take(keeper, &names)?;
    let catalog = catalog::read(snapshot.client(), &schema)?;
    let join = snapshot.import_sql();
    let inputs = PlanInputs {
        data_set: &data_set.name,
        schema: &schema,
        target: &place.path.display().to_string(),
        options,
        resources,
        progress: &control.progress,
        cancel: &control.cancel,
        connect: &|| open_reader(&connection, "profile", locks, &join),
        existing: if only_compare { &[] } else { &place.tables },
        types: &types,
    };
    let plan = build_plan(&inputs, catalog, &mut snapshot)?;
    Ok(SqliteLoad { connection, snapshot, schema, plan, place, locks, partial: None })
}

/// The schema that the user named, or the first of the search path.
fn choose_schema(
    client: &mut Client,
    wanted: Option<String>,
    first: Option<String>,
) -> Result<String> {
    let Some(name) = wanted else {
        return first.ok_or_else(|| {
            Error::refused("the source's search path names no schema that exists")
                .hint("name the schema with --schema")
        });
    };
    let sql = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let what = "cannot look for the schema";
    if client.query_opt(sql, &[&name]).map_err(db_error(what))?.is_none() {
        return Err(Error::refused(format!("the source has no schema {}", quote(&name))));
    }
    Ok(name)
}

/// Takes the locks, unless a run fills the schema.
fn share_locks(client: &mut Client, schema: &str, locks: Locks) -> Result<()> {
    let what = "cannot lock the source";
    let taken: bool = client
        .query_one("SELECT pg_catalog.pg_try_advisory_lock_shared($1)", &[&locks.schema])
        .map_err(db_error(what))?
        .get(0);
    if taken {
        return client.batch_execute(&advisory_lock::hold(&[locks.own])).map_err(db_error(what));
    }
    Err(Error::refused(format!(
        "another run of migrate is filling schema {} of the source",
        quote(schema)
    ))
    .hint("wait for its end, or end it"))
}

/// What a run from SQLite kept of the types that it gave.
///
/// # Errors
/// Refused, where such a run did not come to its end.
fn types_of_earlier_run(client: &mut Client, schema: &str) -> Result<Value> {
    let mut types = serde_json::Map::new();
    for mut entry in Ledger::entries(client, schema)?.unwrap_or_default() {
        if !entry.state.is_some_and(|state| state.is_complete()) {
            return Err(Error::refused(format!(
                "schema {} of the source is half loaded",
                quote(schema)
            ))
            .caused_by(format!(
                "an earlier run of {} did not come to its end",
                quote(&entry.data_set)
            ))
            .hint("finish that run first"));
        }
        if let Value::Object(tables) = entry.detail["types"].take() {
            types.extend(tables);
        }
    }
    Ok(types.into())
}

/// Refuses a target with tables, unless it may be replaced.
fn refuse_occupied(place: &TargetFile, options: &Options) -> Result<()> {
    if place.tables.is_empty() || options.drop_all {
        return Ok(());
    }
    const NAMED: usize = 10;
    let mut list: Vec<String> = place.tables.iter().take(NAMED).map(|name| quote(name)).collect();
    if place.tables.len() > NAMED {
        list.push(format!("and {} more", place.tables.len() - NAMED));
    }
    Err(Error::refused(format!("{} is not empty", place.path.display()))
        .caused_by(format!("it holds the tables {}", list.join(", ")))
        .hint("--drop-all replaces it; until the new one is whole it stays as it is"))
}

/// One more reader of the run, in the snapshot.
pub(crate) fn open_reader(
    connection: &Connection,
    purpose: &str,
    locks: Locks,
    join: &str,
) -> Result<TupleReader> {
    let mut reader = locked(connection, purpose, locks)?;
    let what = "cannot share one view of the source";
    // A lost reader starts again in the middle: the same query gives the same order.
    let same = "SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off";
    reader.simple_query(same).and_then(|_| reader.simple_query(join)).map_err(db_error(what))?;
    Ok(reader)
}

/// One more session of the run, holding the run's locks as all of them do.
pub(crate) fn locked(connection: &Connection, purpose: &str, locks: Locks) -> Result<TupleReader> {
    let mut reader: TupleReader = connect(connection, purpose)?.client;
    let lock = advisory_lock::hold(&[locks.schema, locks.own]);
    reader.simple_query(&lock).map_err(db_error("cannot lock the source"))?;
    Ok(reader)
}

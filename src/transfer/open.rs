//! Opening: both databases of a data set on the way into PostgreSQL, the source fenced and the
//! target's schema locked.

pub(crate) mod into_sqlite;

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::error::{Error, Result};
use crate::postgres::connect::{Driver, Session, connect, create_database};
use crate::postgres::errors::failed;
use crate::postgres::target::{advisory_key, place};
use crate::schema::names::quote;
use crate::sqlite::{Source, SourceOptions};
use crate::transfer::interrupt::Interrupt;
use crate::transfer::options::{DataSet, Location, Options};
use postgres::Client;
use std::collections::HashSet;
use std::path::Path;

/// Both databases of a data set.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) connection: Connection,
    /// The session that holds the run's lock on the target schema.
    pub(super) keeper: Client,
    /// The target schema.
    pub(super) schema: String,
}

/// Opens both databases, and has them interrupted with the run. `hint` says what to do where the
/// target's search path names no schema.
///
/// # Errors
/// Either cannot be opened, or another run is at work.
pub(super) fn open(
    data_set: &DataSet,
    options: &Options,
    interrupt: &Interrupt,
    locked: &mut HashSet<String>,
    hint: &str,
) -> Result<Opened> {
    let (Location::Sqlite(file), Location::Postgres(target)) = (&data_set.source, &data_set.target)
    else {
        return Err(Error::refused("all data sets of a run go the same way"));
    };
    let connection = Connection::parse(
        target.reveal(),
        &Environment::of_this_process(),
        data_set.defaults.clone(),
    )?;
    let source = open_source(file, options)?;
    interrupt.add_source(&source);
    let Session { client: mut keeper, schema, .. } = connect_to(&connection, options)?;
    let schema = schema.ok_or_else(|| {
        Error::refused("the target's search path names no schema that exists").hint(hint)
    })?;
    lock(&mut keeper, &schema, locked)?;
    interrupt.add_server(&connection, advisory_key(&schema));
    Ok(Opened { source, connection, keeper, schema })
}

/// Opens a SQLite database to be read.
///
/// # Errors
/// It cannot be read, or somebody writes to it.
pub(super) fn open_source(file: &Path, options: &Options) -> Result<Source> {
    let defaults = SourceOptions::default();
    Source::open(file, &SourceOptions { temp_dir: options.temp_dir.clone(), ..defaults })
}

fn connect_to(connection: &Connection, options: &Options) -> Result<Session> {
    let first = connect(connection, "keeper");
    match first {
        Err(error) if options.create_database => {
            if create_database(connection)? {
                connect(connection, "keeper")
            } else {
                Err(error)
            }
        }
        session => session,
    }
}

/// Takes the run's lock on the schema: exclusively first, so that no other run is at work, then
/// shared, as all sessions of this run hold it. `locked` are the places that this run has locked:
/// a second data set of one schema shares the lock of the first.
fn lock(keeper: &mut Client, schema: &str, locked: &mut HashSet<String>) -> Result<()> {
    let what = "cannot lock the target";
    let key = advisory_key(schema);
    if !locked.insert(place(keeper, schema)?) {
        keeper
            .execute("SELECT pg_catalog.pg_advisory_lock_shared($1)", &[&key])
            .map_err(failed(what))?;
        return Ok(());
    }
    let taken: bool = keeper
        .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&key])
        .map_err(failed(what))?
        .get(0);
    if !taken {
        return Err(Error::refused(format!(
            "another run of migrate is at work on schema {} of the target",
            quote(schema)
        ))
        .hint("wait for its end, or end it"));
    }
    keeper
        .execute("SELECT pg_catalog.pg_advisory_lock_shared($1)", &[&key])
        .and_then(|_| keeper.execute("SELECT pg_catalog.pg_advisory_unlock($1)", &[&key]))
        .map_err(failed(what))?;
    Ok(())
}

/// One more session of the run, holding the run's lock as all of them do.
pub(super) fn one_more_client<D: Driver>(
    connection: &Connection,
    purpose: &str,
    key: i64,
) -> Result<D> {
    let mut client: D = connect(connection, purpose)?.client;
    client
        .batch_execute(&format!("SELECT pg_catalog.pg_advisory_lock_shared({key})"))
        .map_err(failed("cannot lock the target"))?;
    Ok(client)
}

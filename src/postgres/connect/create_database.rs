//! Creates the target database of a connection where it is missing.

use crate::config::connection::Connection;
use crate::error::{Error, Result};
use crate::postgres::connect::connect;
use crate::postgres::connect::createdb_command::createdb_command;
use crate::postgres::connect::driver::Driver as _;
use crate::postgres::errors::{describe, sqlstate};
use crate::schema::names;
use postgres::Client;

/// Creates the connection's database, empty and in UTF-8, where it does not exist. Returns whether it
/// was created.
pub fn create_database(connection: &Connection) -> Result<bool> {
    // Every cluster has both databases by default; some clusters lack the first.
    let session = connect::<Client>(&connection.with_dbname("postgres"), "create database")
        .or_else(|error| {
            let other = connect(&connection.with_dbname("template1"), "create database");
            other.map_err(|_| error)
        });
    let mut client = match session {
        Ok(session) => session.client,
        // A role may have access to its own database only. Then there is nothing to create.
        Err(error) => {
            return connect::<Client>(connection, "create database")
                .map(|_| false)
                .map_err(|_| error);
        }
    };
    let dbname = &connection.dbname;
    let failed = |error: &postgres::Error| {
        Error::failed(format!("cannot create the database `{dbname}`"))
            .caused_by(describe(error))
            .hint(format!("let an administrator run: {}", createdb_command(connection)))
    };
    let find =
        format!("SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}", names::literal(dbname));
    if client.first_row(&find).map_err(|error| failed(&error))?.is_some() {
        return Ok(false);
    }
    let create =
        format!("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0", names::quote(dbname));
    match client.batch_execute(&create) {
        Ok(()) => Ok(true),
        // Another session created it first.
        Err(error) if sqlstate(&error) == Some("42P04") => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

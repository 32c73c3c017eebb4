//! Sessions: connections with fixed settings, so that values do not depend on the configuration of the
//! server, the database or the role.

use crate::config::connection::{Connection, Target};
use crate::error::{Error, Result};
use crate::postgres::connect::backend::Backend;
use crate::postgres::connect::createdb_command::createdb_command;
use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::failure::Failure;
use crate::postgres::errors;
use postgres::Client;

/// The oldest supported major version of the server.
pub(crate) const MIN_VERSION: u32 = 14;

/// A connection with fixed settings.
pub struct Session<D = Client> {
    /// The driver's connection.
    pub client: D,
    /// The first existing schema of the connection's search path, in which unqualified names would
    /// be created. The session's own search path is empty.
    pub schema: Option<String>,
    /// The server's version as `server_version_num` gives it (150008 is 15.8).
    pub server_version: u32,
    /// The connection is encrypted.
    pub encrypted: bool,
    pub(crate) backend: Backend,
}

/// The server detects a dead client within seconds, during a statement too, and releases its locks.
const CHECK_CLIENT_CONNECTION: &str = "SET client_connection_check_interval = '2s'";

/// The properties of a server and of the session.
struct Server {
    version: u32,
    encoding: String,
    schema: Option<String>,
    in_recovery: bool,
    read_only: bool,
    backend: Backend,
}

/// Checks the server and fixes the settings of the session.
pub(crate) fn prepare<D: Driver>(
    mut client: D,
    connection: &Connection,
    encrypted: bool,
    target: Target,
    purpose: &str,
) -> Result<Session<D>, Failure> {
    let server = Server::query(&mut client)?;
    if let Some(cause) = server.mismatch(target) {
        return Err(Failure::wrong_kind(cause));
    }
    server.check(connection)?;
    client
        .batch_execute(&settings(server.version, purpose))
        .map_err(errors::db_error("cannot set up the session"))?;
    // Without support by the server's platform, a dead client's session ends with its statement.
    let _ = client.batch_execute(CHECK_CLIENT_CONNECTION);
    let Server { version: server_version, schema, backend, .. } = server;
    Ok(Session { client, schema, server_version, encrypted, backend })
}

/// The name of the session in `pg_stat_activity`.
pub(crate) fn application_name(purpose: &str) -> String {
    format!("migrate {purpose}")
}

impl Server {
    fn query(client: &mut impl Driver) -> Result<Self> {
        const SETTINGS: &str = "SELECT pg_catalog.current_setting('server_version_num'), \
             pg_catalog.current_setting('server_encoding'), \
             pg_catalog.current_schema(), \
             pg_catalog.pg_is_in_recovery(), \
             pg_catalog.current_setting('transaction_read_only'), \
             pid, (extract(epoch FROM backend_start) * 1000000)::bigint \
             FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";
        let what = "cannot query the properties of the server";
        let failed = || Error::failed(what);
        let row = client.first_row(SETTINGS).map_err(errors::db_error(what))?;
        let text = |column| row.as_ref().and_then(|row| row.try_get(column).ok().flatten());
        Ok(Self {
            version: text(0).and_then(|version| version.parse().ok()).ok_or_else(failed)?,
            encoding: text(1).ok_or_else(failed)?.to_owned(),
            schema: text(2).map(str::to_owned),
            in_recovery: text(3) == Some("t"),
            read_only: text(4) == Some("on"),
            backend: Backend {
                pid: text(5).and_then(|pid| pid.parse().ok()).ok_or_else(failed)?,
                // A session with another role than its login cannot see it.
                started: text(6).and_then(|time| time.parse().ok()).unwrap_or_default(),
            },
        })
    }

    /// Why this is not the requested kind of server; `None` if it is.
    fn mismatch(&self, target: Target) -> Option<&'static str> {
        let read_only = self.read_only || self.in_recovery;
        match target {
            Target::ReadWrite if read_only => Some("the session is read-only"),
            Target::ReadOnly if !read_only => Some("the session is not read-only"),
            Target::Primary if self.in_recovery => Some("the server is a standby"),
            Target::Standby if !self.in_recovery => Some("the server is not a standby"),
            _ => None,
        }
    }

    /// Refuses servers and databases that a migration cannot use.
    fn check(&self, connection: &Connection) -> Result<()> {
        let Self { version, encoding, .. } = self;
        if version / 10_000 < MIN_VERSION {
            let (major, minor) = (version / 10_000, version % 100);
            return Err(Error::refused(format!(
                "PostgreSQL {major}.{minor} is not supported; version {MIN_VERSION} or newer is required"
            ))
            .hint("upgrade the server first (pg_upgrade), or use another server"));
        }
        if encoding != "UTF8" {
            let dbname = &connection.dbname;
            return Err(Error::refused(format!(
                "the database `{dbname}` has the encoding {encoding}, which cannot hold all text; \
                 UTF8 is required"
            ))
            .hint(format!(
                "use another database, or recreate this one: {}",
                createdb_command(connection)
            )));
        }
        Ok(())
    }
}

/// The statements that fix the settings of a session.
///
/// JIT compilation does not pay off for these statements: a foreign key with 5.7 million rows was
/// validated in 1.6 to 2.0 s without it and in 2.3 to 2.6 s with it.
fn settings(version: u32, purpose: &str) -> String {
    let name = crate::schema::names::literal(&application_name(purpose));
    let mut settings = String::from(
        // Row-level security must cause an error rather than hide rows.
        "SET row_security = off; \
         SET search_path = ''; \
         SET client_encoding = 'UTF8'; \
         SET standard_conforming_strings = on; \
         SET TimeZone = 'UTC'; \
         SET DateStyle = 'ISO'; \
         SET IntervalStyle = 'postgres'; \
         SET extra_float_digits = 1; \
         SET statement_timeout = 0; \
         SET lock_timeout = 0; \
         SET idle_in_transaction_session_timeout = 0; \
         SET idle_session_timeout = 0; \
         SET default_transaction_read_only = off; \
         SET default_transaction_isolation = 'read committed'; \
         SET default_transaction_deferrable = off; \
         SET jit = off; ",
    );
    if version >= 170_000 {
        settings.push_str("SET transaction_timeout = 0; ");
    }
    settings.push_str(&format!("SET application_name = {name}"));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::connection::Defaults;
    use crate::config::environment::Environment;
    use crate::error::Kind;

    fn server(version: u32, encoding: &str) -> Server {
        let encoding = encoding.to_owned();
        let backend = Backend { pid: 1, started: 0 };
        Server { version, encoding, schema: None, in_recovery: false, read_only: false, backend }
    }

    fn connection(text: &str) -> Connection {
        Connection::parse(text, &Environment::default(), Defaults::default()).unwrap()
    }

    #[test]
    fn an_old_server_is_refused() {
        let connection = connection("postgres://u@h/d");
        assert!(server(140_000, "UTF8").check(&connection).is_ok());
        let error = server(130_014, "UTF8").check(&connection).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.message().contains("13.14"), "{error}");
    }

    #[test]
    fn another_encoding_is_refused_with_the_command_that_fixes_it() {
        let connection = connection("postgres://u@h:5433/it's");
        let error = server(150_000, "LATIN1").check(&connection).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        let command = r"createdb -h h -p 5433 -U u -E UTF8 -T template0 --locale=C.UTF-8 'it'\''s'";
        assert!(error.hints()[0].ends_with(command), "{:?}", error.hints());
    }

    #[test]
    fn a_timeout_of_newer_servers_is_not_set_on_older_ones() {
        assert!(!settings(160_004, "x").contains("transaction_timeout"));
        assert!(settings(170_000, "x").contains("transaction_timeout"));
    }

    #[test]
    fn a_server_of_another_kind_is_skipped() {
        let standby = Server { in_recovery: true, read_only: true, ..server(150_000, "UTF8") };
        let primary = server(150_000, "UTF8");
        let fits = |server: &Server| {
            [Target::Any, Target::ReadWrite, Target::ReadOnly, Target::Primary, Target::Standby]
                .map(|target| server.mismatch(target).is_none())
        };
        assert_eq!(fits(&primary), [true, true, false, true, false]);
        assert_eq!(fits(&standby), [true, false, true, false, true]);
    }
}

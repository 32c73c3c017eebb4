//! A session: a connection whose server has been looked at and whose settings are pinned, so that
//! values read and written do not depend on how a server, database or role is set up.

use crate::config::connection::{Connection, Target};
use crate::error::{Error, Result};
use crate::postgres::connect::backend::Backend;
use crate::postgres::connect::createdb_command::createdb_command;
use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::failure::Failure;
use crate::postgres::errors;
use postgres::{Client, SimpleQueryMessage};

/// The oldest server version that is supported, as its major number.
pub(crate) const MIN_VERSION: u32 = 14;

/// A connection with pinned settings.
pub struct Session<D = Client> {
    /// The driver's connection.
    pub client: D,
    /// The first schema of the connection's search path that exists: where unqualified names
    /// would be created. The session's own search path is empty.
    pub schema: Option<String>,
    /// The server's version as `server_version_num` gives it (150008 is 15.8).
    pub server_version: u32,
    /// The connection is encrypted.
    pub encrypted: bool,
    /// The server's process behind it.
    pub(crate) backend: Backend,
}

/// Within seconds the server notices, in the middle of a statement too, that nobody is there any
/// more to hear its answer; a dead client's locks go then.
const CHECK_CLIENT_CONNECTION: &str = "SET client_connection_check_interval = '2s'";

/// What a server is asked first.
struct Server {
    version: u32,
    encoding: String,
    schema: Option<String>,
    in_recovery: bool,
    read_only: bool,
    backend: Backend,
}

/// Looks at the server and pins the session's settings.
pub(crate) fn prepare<D: Driver>(
    mut client: D,
    connection: &Connection,
    encrypted: bool,
    target: Target,
    purpose: &str,
) -> Result<Session<D>, Failure> {
    let server = Server::look(&mut client)?;
    if let Some(cause) = server.mismatch(target) {
        return Err(Failure::passing(cause));
    }
    server.check(connection)?;
    client
        .batch_execute(&pins(server.version, purpose))
        .map_err(|error| errors::db_error("cannot set up the session")(error))?;
    // Where the server's platform cannot do it, a dead client's session ends with its statement.
    let _ = client.batch_execute(CHECK_CLIENT_CONNECTION);
    let Server { version: server_version, schema, backend, .. } = server;
    Ok(Session { client, schema, server_version, encrypted, backend })
}

/// How our sessions name themselves in `pg_stat_activity`.
pub(crate) fn application_name(purpose: &str) -> String {
    format!("migrate {purpose}")
}

impl Server {
    fn look(client: &mut impl Driver) -> Result<Self> {
        const SETTINGS: &str = "SELECT pg_catalog.current_setting('server_version_num'), \
             pg_catalog.current_setting('server_encoding'), \
             pg_catalog.current_schema(), \
             pg_catalog.pg_is_in_recovery(), \
             pg_catalog.current_setting('transaction_read_only'), \
             pid, (extract(epoch FROM backend_start) * 1000000)::bigint \
             FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";
        let what = "cannot learn what kind of server this is";
        let failed = || Error::failed(what);
        let answer = client.simple_query(SETTINGS).map_err(errors::db_error(what))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |column| row.and_then(|row| row.try_get(column).ok().flatten());
        Ok(Self {
            version: text(0).and_then(|version| version.parse().ok()).ok_or_else(failed)?,
            encoding: text(1).ok_or_else(failed)?.to_owned(),
            schema: text(2).map(str::to_owned),
            in_recovery: text(3) == Some("t"),
            read_only: text(4) == Some("on"),
            backend: Backend {
                pid: text(5).and_then(|pid| pid.parse().ok()).ok_or_else(failed)?,
                // Not told to a session that took another role than its own.
                started: text(6).and_then(|time| time.parse().ok()).unwrap_or_default(),
            },
        })
    }

    /// Why this is not the wanted kind of server, if it is not.
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
                "PostgreSQL {major}.{minor} is too old; {MIN_VERSION} or newer is needed"
            ))
            .hint("upgrade the server first (pg_upgrade), or name another one"));
        }
        if encoding != "UTF8" {
            let dbname = &connection.dbname;
            return Err(Error::refused(format!(
                "the database `{dbname}` is encoded in {encoding}, which cannot hold all text; \
                 it must be UTF8"
            ))
            .hint(format!(
                "name another database, or make this one anew: {}",
                createdb_command(connection)
            )));
        }
        Ok(())
    }
}

/// The statements that pin a session's settings.
///
/// Compiled expressions do not earn their time in what is asked here: a foreign key over 5.7
/// million rows was validated in 1.6 to 2.0 s without them and in 2.3 to 2.6 s with them.
fn pins(version: u32, purpose: &str) -> String {
    let name = crate::schema::names::literal(&application_name(purpose));
    let mut pins = String::from(
        // A table with row-level security must fail rather than hide rows.
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
        pins.push_str("SET transaction_timeout = 0; ");
    }
    pins.push_str(&format!("SET application_name = {name}"));
    pins
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
    fn an_old_server_is_refused_by_its_version() {
        let connection = connection("postgres://u@h/d");
        assert!(server(140_000, "UTF8").check(&connection).is_ok());
        let error = server(130_014, "UTF8").check(&connection).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.message().contains("13.14"), "{error}");
    }

    #[test]
    fn another_encoding_is_refused_with_the_command_that_mends_it() {
        let connection = connection("postgres://u@h:5433/it's");
        let error = server(150_000, "LATIN1").check(&connection).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        let command = r"createdb -h h -p 5433 -U u -E UTF8 -T template0 --locale=C.UTF-8 'it'\''s'";
        assert!(error.hints()[0].ends_with(command), "{:?}", error.hints());
    }

    #[test]
    fn a_timeout_that_only_newer_servers_know_is_not_set_on_older_ones() {
        assert!(!pins(160_004, "x").contains("transaction_timeout"));
        assert!(pins(170_000, "x").contains("transaction_timeout"));
    }

    #[test]
    fn a_server_of_another_kind_is_passed_over() {
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

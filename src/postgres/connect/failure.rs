//! Failed attempts to connect: the cause, a hint, and whether another host or another kind of
//! connection may succeed.

use crate::config::connection::{Connection, Host, HostAddr};
use crate::error::Error;
use crate::postgres::connect::createdb_command::createdb_command;
use crate::postgres::connect::driver::ConnectError;
use crate::postgres::connect::tls;
use crate::postgres::errors;
use std::io::ErrorKind;
use std::net::IpAddr;

/// One or more failed attempts.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    causes: Vec<String>,
    hints: Vec<String>,
    /// The whole error, where causes and hints are not enough.
    error: Option<Box<Error>>,
    /// The search ends: no other host is tried.
    pub(crate) is_final: bool,
    /// The server answered, and refused the login. Another kind of connection may be accepted.
    pub(crate) is_refusal: bool,
    /// The server has no free connection.
    is_full: bool,
    is_tls: bool,
    /// The connection was encrypted.
    encrypted: bool,
    /// The same attempt may succeed later.
    is_retryable: bool,
}

impl Failure {
    /// The error of all attempts together.
    pub(crate) fn into_error(self, connection: &Connection) -> Error {
        let base = match self.error {
            Some(error) => *error,
            None => Error::failed(format!("cannot connect to {}", connection.display())),
        };
        let base = if self.is_retryable { base.retryable() } else { base };
        let error = self.causes.into_iter().fold(base, Error::caused_by);
        self.hints.into_iter().fold(error, Error::hint)
    }

    /// The failure of a host name that cannot be resolved.
    pub(crate) fn unknown_host(name: &str, error: &std::io::Error) -> Self {
        Self::default()
            .cause(format!("cannot resolve the host name `{name}`: {error}"))
            .hint("check the spelling of the host name, and the name service of this machine")
    }

    /// The failure of a server that is not of the requested kind.
    pub(crate) fn wrong_kind(cause: &str) -> Self {
        Self::default()
            .cause(format!("{cause}, but target_session_attrs requests another kind"))
            .hint("use a server that matches target_session_attrs, or remove that setting")
    }

    pub(crate) fn from_error(
        error: ConnectError,
        connection: &Connection,
        host: &Host,
        address: Option<IpAddr>,
        encrypted: bool,
    ) -> Self {
        let location = match (&host.addr, address) {
            (HostAddr::Socket(folder), _) => format!("{}/.s.PGSQL.{}", folder.display(), host.port),
            (HostAddr::Tcp { name: Some(name), .. }, Some(address))
                if *name != address.to_string() =>
            {
                format!("{name} ({address}), port {}", host.port)
            }
            (HostAddr::Tcp { .. }, Some(address)) => format!("{address}, port {}", host.port),
            (HostAddr::Tcp { .. }, None) => host.to_string(),
        };
        let with = if encrypted { " with TLS" } else { "" };
        let failure = match error {
            ConnectError::TimedOut(limit) => Self::default()
                .cause(format!("{location}: no answer within {} s", limit.as_secs()))
                .hint("check host, port and firewalls; connect_timeout sets the limit"),
            ConnectError::System(error) => Self::default().cause(format!("{location}: {error}")),
            ConnectError::Driver(error) => {
                let failure = Self::default()
                    .cause(format!("{location}{with}: {}", errors::describe(&error)));
                failure.explain(&error, connection, host)
            }
        };
        // Where no connection is free, those of an interrupted run may be among the others.
        Self { encrypted, is_retryable: !failure.is_final || failure.is_full, ..failure }
    }

    /// Whether TLS may be the reason, so that a connection without it may work.
    pub(crate) fn may_be_tls(&self) -> bool {
        self.is_tls || self.encrypted && self.is_refusal
    }

    /// This failure, and a second one of the same server.
    pub(crate) fn and(mut self, second: Self) -> Self {
        self.is_final = false;
        self.add(second);
        self
    }

    /// Adds a later failure, which decides how the search continues.
    pub(crate) fn add(&mut self, mut later: Self) {
        later.hints.retain(|hint| !self.hints.contains(hint));
        let causes = [std::mem::take(&mut self.causes), later.causes].concat();
        let hints = [std::mem::take(&mut self.hints), later.hints].concat();
        *self = Self { causes, hints, ..later };
    }

    fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the hints and flags of a driver's error.
    fn explain(mut self, error: &postgres::Error, connection: &Connection, host: &Host) -> Self {
        // The driver distinguishes these kinds of errors only by their texts.
        self.is_tls = error.to_string() == "error performing TLS handshake";
        if let Some(code) = errors::sqlstate(error) {
            // While a server starts up or shuts down, the next host may replace it.
            self.is_final = code != "57P03";
            self.is_refusal = code.starts_with("28");
            self.is_full = code == "53300";
            return self.explain_refusal(code, connection, host);
        }
        if let Some(io) = errors::io_error(error) {
            let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            self.is_final = self.is_tls || inner.is_some();
            if let Some(inner) = inner {
                return match tls::hint(inner) {
                    Some(hint) => self.hint(hint),
                    None => self,
                };
            }
            return self.explain_io(io.kind(), host);
        }
        // The server closed the connection before the login.
        self.is_final = !error.is_closed();
        let text = errors::describe(error);
        if text.ends_with("password missing") {
            self.causes = vec!["the server requires a password, but none was found".to_owned()];
            self.causes.extend(connection.password_sources.iter().cloned());
            return self.hint(
                "put a line HOST:PORT:DATABASE:USER:PASSWORD into ~/.pgpass and chmod 600 it, \
                              or set PGPASSWORD",
            );
        }
        if text.ends_with("server does not support TLS") {
            return self.hint(
                "enable TLS on the server (ssl = on), or use sslmode=disable on a trusted network",
            );
        }
        if text.ends_with("server did not use channel binding") {
            return self.hint(
                "channel_binding=require needs TLS and a scram-sha-256 password on the server; \
                 channel_binding=prefer works without them",
            );
        }
        self
    }

    fn explain_io(self, kind: ErrorKind, host: &Host) -> Self {
        match (&host.addr, kind) {
            (HostAddr::Socket(_), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => self.hint(
                "no server listens on this socket: start it, or set its host or the folder of its socket",
            ),
            (HostAddr::Socket(_), ErrorKind::PermissionDenied) => {
                self.hint("this user has no access to the socket: check unix_socket_permissions of the server")
            }
            (_, ErrorKind::ConnectionRefused) => self.hint(
                "no server listens on this address: check host, port and listen_addresses, and start the server",
            ),
            (_, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                self.hint("the program on this port may not be a PostgreSQL server, or it uses another kind of TLS")
            }
            _ => self.hint("check host, port, the network and firewalls"),
        }
    }

    /// Adds the hints of a refusal by the server, by its SQLSTATE.
    fn explain_refusal(mut self, code: &str, connection: &Connection, host: &Host) -> Self {
        let Connection { user, dbname, .. } = connection;
        match code {
            "28P01" => match connection.password_origin {
                Some(origin) => self.hint(format!("the password came from {origin}")),
                None => self,
            },
            "28000" if matches!(host.addr, HostAddr::Socket(_)) => self.hint(format!(
                "the server may accept only the operating system's user `{user}` on its socket: \
                 run as that user, or use host=localhost and a password"
            )),
            "28000" => self.hint(format!(
                "pg_hba.conf of the server needs a line for user `{user}` and database `{dbname}` \
                 that matches this connection (address, with or without TLS)"
            )),
            "3D000" => {
                let command = createdb_command(connection);
                let error = Error::failed(format!("the database `{dbname}` does not exist"))
                    .hint(format!("create it: {command}"))
                    .missing_database();
                let error = match connection.usual_dbname.filter(|usual| usual != dbname) {
                    Some(usual) => error.hint(format!(
                        "the product's documentation calls the database `{usual}`: check the URL"
                    )),
                    None => error,
                };
                self.error = Some(Box::new(error));
                self
            }
            "53300" => self.hint("the server has no free connection: use fewer --writers, or raise its max_connections"),
            "42704" | "22023" => {
                self.hint("check `options` and the server settings in the connection string")
            }
            "57P03" => self.hint("the server is starting up or shutting down; run the command again"),
            _ => self,
        }
    }
}

/// An error of the client ends the search, because it would occur with every other host, too.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let is_retryable = error.is_retryable();
        Self { error: Some(Box::new(error)), is_final: true, is_retryable, ..Self::default() }
    }
}

//! A failed attempt to connect: its cause in our words, what to do about it, and whether another
//! host or another `sslmode` may do better.

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
    /// The whole error, where there is more to say than causes and hints.
    error: Option<Box<Error>>,
    /// No other host is to be tried.
    is_final: bool,
    /// The server answered, and refused before it let anybody in.
    is_refusal: bool,
    /// The server has no connection left.
    is_full: bool,
    /// The TLS handshake itself failed.
    is_tls: bool,
    /// It happened on an encrypted connection.
    encrypted: bool,
    /// The same attempt may succeed later.
    may_pass: bool,
}

/// The error of all attempts together.
pub(crate) fn error(connection: &Connection, failures: Vec<Failure>) -> Error {
    let mut all = Failure::default();
    for failure in failures {
        all.add(failure);
    }
    let base = match all.error {
        Some(error) => *error,
        None => Error::failed(format!("cannot connect to {}", connection.display())),
    };
    let base = if all.may_pass { base.retryable() } else { base };
    let error = all.causes.into_iter().fold(base, Error::caused_by);
    all.hints.into_iter().fold(error, Error::hint)
}

impl Failure {
    /// A host whose name is not known.
    pub(crate) fn unknown_host(name: &str, error: &std::io::Error) -> Self {
        Self::default()
            .cause(format!("the address of the host `{name}` cannot be found: {error}"))
            .hint(
                "check the spelling of the host's name, and that this machine's name service works",
            )
    }

    /// A server that is not the one that is looked for.
    pub(crate) fn passing(cause: &str) -> Self {
        Self::default()
            .cause(format!("{cause}, and target_session_attrs asks for another"))
            .hint("name a server that fits target_session_attrs, or take that setting out")
    }

    /// What an attempt's outcome means.
    pub(crate) fn from_error(
        error: ConnectError,
        connection: &Connection,
        host: &Host,
        address: Option<IpAddr>,
        encrypted: bool,
    ) -> Self {
        let place = match (&host.place, address) {
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
                .cause(format!("{place}: no answer within {} s", limit.as_secs()))
                .hint("check host, port and firewalls; connect_timeout sets the time to wait"),
            ConnectError::System(error) => Self::default().cause(format!("{place}: {error}")),
            ConnectError::Driver(error) => {
                let failure =
                    Self::default().cause(format!("{place}{with}: {}", errors::describe(&error)));
                failure.explain(&error, connection, host)
            }
        };
        // All connections taken: those of a run that was cut off may be among them.
        Self { encrypted, may_pass: !failure.is_final || failure.is_full, ..failure }
    }

    /// No other host is to be tried.
    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// The server answered and refused before it let anybody in, so that another form of
    /// connection might be let in.
    pub(crate) fn is_refusal(&self) -> bool {
        self.is_refusal
    }

    /// TLS may be the reason, so that a connection without it might work.
    pub(crate) fn may_be_tls(&self) -> bool {
        self.is_tls || self.encrypted && self.is_refusal
    }

    /// This failure and a second one of the same server.
    pub(crate) fn and(mut self, second: Self) -> Self {
        self.is_final = false;
        self.add(second);
        self
    }

    /// Adds a later failure; the later one decides what is next.
    pub(crate) fn add(&mut self, later: Self) {
        self.causes.extend(later.causes);
        for hint in later.hints {
            if !self.hints.contains(&hint) {
                self.hints.push(hint);
            }
        }
        self.error = later.error;
        self.is_final = later.is_final;
        self.is_refusal = later.is_refusal;
        self.is_tls = later.is_tls;
        self.encrypted = later.encrypted;
        self.may_pass = later.may_pass;
    }

    fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says what a driver's error means.
    fn explain(mut self, error: &postgres::Error, connection: &Connection, host: &Host) -> Self {
        // The driver does not tell its kinds of errors apart but by their texts.
        self.is_tls = error.to_string() == "error performing TLS handshake";
        if let Some(code) = errors::sqlstate(error) {
            // A server that is starting up or shutting down; the next host may be its stand-in.
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
        // The server went away before it had let anybody in.
        self.is_final = !error.is_closed();
        let text = errors::describe(error);
        if text.ends_with("password missing") {
            self.causes = vec!["the server asks for a password, and none was found".to_owned()];
            self.causes.extend(connection.password_places.iter().cloned());
            return self.hint(
                "put a line HOST:PORT:DATABASE:USER:PASSWORD into ~/.pgpass and chmod 600 it, \
                              or set PGPASSWORD",
            );
        }
        if text.ends_with("server does not support TLS") {
            return self.hint("switch TLS on at the server (ssl = on), or, where nobody can listen in on the way to it, use sslmode=disable");
        }
        if text.ends_with("server did not use channel binding") {
            return self.hint(
                "channel_binding=require needs TLS and a scram-sha-256 password at the server; \
                              channel_binding=prefer does without",
            );
        }
        self
    }

    fn explain_io(self, kind: ErrorKind, host: &Host) -> Self {
        match (&host.place, kind) {
            (HostAddr::Socket(_), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => self.hint(
                "no server listens at this socket: start it, or name its host or the folder of its socket",
            ),
            (HostAddr::Socket(_), ErrorKind::PermissionDenied) => {
                self.hint("this user may not use the socket: see unix_socket_permissions of the server")
            }
            (_, ErrorKind::ConnectionRefused) => self.hint(
                "nothing listens there: check host and port, that the server runs, and its listen_addresses",
            ),
            (_, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                self.hint("what listens there may not be a PostgreSQL server, or it speaks another form of TLS")
            }
            _ => self.hint("check host, port, the network and firewalls"),
        }
    }

    /// What the server's own refusal means, by its SQLSTATE.
    fn explain_refusal(mut self, code: &str, connection: &Connection, host: &Host) -> Self {
        let Connection { user, dbname, .. } = connection;
        match code {
            "28P01" => match connection.password_origin {
                Some(origin) => self.hint(format!("the password came from {origin}")),
                None => self,
            },
            "28000" if matches!(host.place, HostAddr::Socket(_)) => self.hint(format!(
                "the server may let in only the system's user `{user}` by its socket: \
                 run as that user, or use host=localhost and a password"
            )),
            "28000" => self.hint(format!(
                "pg_hba.conf of the server decides who may connect from where, with and without TLS: \
                 it must have a line for user `{user}` and database `{dbname}` that fits this \
                 connection"
            )),
            "3D000" => {
                let command = createdb_command(connection);
                let error = Error::failed(format!("the database `{dbname}` does not exist"))
                    .hint(format!("create it with --create-database, or with: {command}"));
                let error = match connection.usual_dbname.filter(|usual| usual != dbname) {
                    Some(usual) => error.hint(format!(
                        "the product's documentation calls the database `{usual}`: check the URL"
                    )),
                    None => error,
                };
                self.error = Some(Box::new(error));
                self
            }
            "53300" => self.hint("the server has no connection left: use fewer --writers, or raise its max_connections"),
            "42704" | "22023" => {
                self.hint("check `options` and the settings of the server in the connection string")
            }
            "57P03" => self.hint("the server is starting up or shutting down; try again"),
            _ => self,
        }
    }
}

/// An error of our own side ends the search: every other host would meet it too.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let may_pass = error.is_retryable();
        Self { error: Some(Box::new(error)), is_final: true, may_pass, ..Self::default() }
    }
}

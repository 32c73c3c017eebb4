//! Connecting: the hosts of a connection string tried in turn, encrypted as its `sslmode` says,
//! until there is a session.
//!
//! The rules are libpq's (<https://www.postgresql.org/docs/current/libpq-connect.html>): a host
//! that cannot be reached, that is starting up or that is not the wanted kind of server gives
//! way to the next one, while a server that answers and refuses has the last word. The driver
//! itself knows neither the modes `allow` and `verify-*` nor a limit on a server's silence.

pub(crate) mod backend;
pub(crate) mod create_database;
pub(crate) mod createdb_command;
pub(crate) mod driver;
pub(crate) mod failure;
pub(crate) mod reconnecting;
pub(crate) mod session;
pub(crate) mod tls;

use crate::config::connection::{ChannelBinding, Connection, Host, HostAddr, SslMode, Target};
use crate::error::Result;
use crate::postgres::connect::driver::{ConnectError, Driver};
use crate::postgres::connect::failure::Failure;
use crate::postgres::connect::session::Session;
use postgres::NoTls;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding as DriverBinding, SslMode as DriverMode, SslNegotiation,
};

/// Opens a session and pins its settings. `purpose` is a word for the server's list of sessions;
/// it must not be a secret.
///
/// # Errors
/// A database that cannot be connected to fails, with every attempt as a cause; certificate
/// files, servers and databases that cannot be used are refused.
pub fn connect<D: Driver>(connection: &Connection, purpose: &str) -> Result<Session<D>> {
    let mut failures = Vec::new();
    // The one wish that may be given up: a second round takes any server.
    let rounds: &[Target] = match connection.target {
        Target::PreferStandby => &[Target::Standby, Target::Any],
        ref target => std::slice::from_ref(target),
    };
    for target in rounds {
        for host in in_order(connection) {
            match connect_to_host(connection, host, *target, purpose) {
                Ok(session) => return Ok(session),
                Err(failure) => {
                    let is_final = failure.is_final();
                    failures.push(failure);
                    if is_final {
                        return Err(failure::error(connection, failures));
                    }
                }
            }
        }
    }
    Err(failure::error(connection, failures))
}

/// The hosts in the order of trial.
fn in_order(connection: &Connection) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = connection.hosts.iter().collect();
    if connection.shuffle_hosts {
        fastrand::shuffle(&mut hosts);
    }
    hosts
}

/// Tries the addresses of one host in turn.
fn connect_to_host<D: Driver>(
    connection: &Connection,
    host: &Host,
    target: Target,
    purpose: &str,
) -> Result<Session<D>, Failure> {
    let addresses = match &host.place {
        HostAddr::Socket(_) => vec![None],
        HostAddr::Tcp { address: Some(address), .. } => vec![Some(*address)],
        HostAddr::Tcp { name, address: None } => {
            let name = name.as_deref().unwrap_or("localhost");
            match (name, host.port).to_socket_addrs() {
                Ok(found) => found.map(|address| Some(address.ip())).collect(),
                Err(error) => return Err(Failure::unknown_host(name, &error)),
            }
        }
    };
    let mut failures = Failure::default();
    for address in addresses {
        let attempt = Attempt { connection, host, address, purpose };
        match attempt.connect().and_then(|(client, encrypted)| {
            session::prepare(client, connection, encrypted, target, purpose)
        }) {
            Ok(session) => return Ok(session),
            Err(failure) => {
                failures.add(failure);
                if failures.is_final() {
                    break;
                }
            }
        }
    }
    Err(failures)
}

/// One address of one host, to be connected to.
struct Attempt<'a> {
    connection: &'a Connection,
    host: &'a Host,
    address: Option<IpAddr>,
    purpose: &'a str,
}

impl Attempt<'_> {
    /// Connects with and without TLS in the order of the `sslmode`; also says whether the
    /// connection is encrypted.
    fn connect<D: Driver>(&self) -> Result<(D, bool), Failure> {
        let mode = match self.host.place {
            // Nobody can listen in on a socket, and the server offers no TLS there.
            HostAddr::Socket(_) => SslMode::Disable,
            HostAddr::Tcp { .. } => self.connection.tls.mode,
        };
        match mode {
            SslMode::Disable => self.connect_plainly(),
            SslMode::Allow => self.connect_plainly().or_else(|failure| {
                if !failure.is_refusal() {
                    return Err(failure);
                }
                self.connect_encrypted(DriverMode::Require).map_err(|second| failure.and(second))
            }),
            SslMode::Prefer => self.connect_encrypted(DriverMode::Prefer).or_else(|failure| {
                // A server that took no TLS was already talked to without it.
                if !failure.may_be_tls() {
                    return Err(failure);
                }
                self.connect_plainly().map_err(|second| failure.and(second))
            }),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                self.connect_encrypted(DriverMode::Require)
            }
        }
    }

    fn connect_plainly<D: Driver>(&self) -> Result<(D, bool), Failure> {
        let config = self.config(DriverMode::Disable);
        let connect = move || D::open(&config, NoTls);
        let client = within(self.connection.connect_timeout, connect).map_err(|error| {
            Failure::from_error(error, self.connection, self.host, self.address, false)
        })?;
        Ok((client, false))
    }

    fn connect_encrypted<D: Driver>(&self, mode: DriverMode) -> Result<(D, bool), Failure> {
        let name = match &self.host.place {
            HostAddr::Tcp { name, .. } => name.as_deref(),
            HostAddr::Socket(_) => None,
        };
        let begun = Arc::new(AtomicBool::new(false));
        let connector = tls::connector(&self.connection.tls, name, Arc::clone(&begun))?;
        let config = self.config(mode);
        let connect = move || D::open(&config, connector);
        let result = within(self.connection.connect_timeout, connect);
        let encrypted = begun.load(Ordering::Relaxed);
        let client = result.map_err(|error| {
            Failure::from_error(error, self.connection, self.host, self.address, encrypted)
        })?;
        Ok((client, encrypted))
    }

    /// The driver's settings.
    fn config(&self, mode: DriverMode) -> Config {
        let Self { connection, host, address, purpose } = self;
        let mut config = Config::new();
        config
            .user(&connection.user)
            .dbname(&connection.dbname)
            .application_name(session::application_name(purpose))
            .port(host.port)
            .ssl_mode(mode)
            .channel_binding(match connection.tls.channel_binding {
                ChannelBinding::Disable => DriverBinding::Disable,
                ChannelBinding::Prefer => DriverBinding::Prefer,
                ChannelBinding::Require => DriverBinding::Require,
            });
        match &host.place {
            HostAddr::Socket(folder) => {
                config.host_path(folder);
            }
            HostAddr::Tcp { name, .. } => {
                // The driver wants a name for every TLS handshake, if only an address.
                let fallback = address.map(|address| address.to_string()).unwrap_or_default();
                config.host(name.as_deref().unwrap_or(&fallback));
                address.map(|address| config.hostaddr(address));
            }
        }
        if let Some(password) = &host.password {
            config.password(password.reveal());
        }
        if let Some(options) = &connection.options {
            config.options(options);
        }
        if connection.tls.direct && mode == DriverMode::Require {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        let tcp = &connection.tcp;
        config.keepalives(tcp.keepalives);
        tcp.idle.map(|idle| config.keepalives_idle(idle));
        tcp.interval.map(|interval| config.keepalives_interval(interval));
        tcp.count.map(|count| config.keepalives_retries(count));
        tcp.user_timeout.map(|timeout| config.tcp_user_timeout(timeout));
        config
    }
}

/// Runs `connect`, giving up after `limit`. The driver limits only the socket's part of it, and a
/// server (or whatever listens there) may accept and then say nothing; so the wait is ours, and
/// a thread that waits too long is left to end when its socket does.
fn within<D: Driver>(
    limit: Option<Duration>,
    connect: impl FnOnce() -> Result<D, ConnectError> + Send + 'static,
) -> Result<D, ConnectError> {
    let Some(limit) = limit else { return connect() };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the wait is over.
        let _ = sender.send(connect());
    });
    receiver.recv_timeout(limit).unwrap_or(Err(ConnectError::TimedOut(limit)))
}

//! Opens a session: tries the hosts of a connection string in turn, with its `sslmode`.
//!
//! The rules are libpq's (<https://www.postgresql.org/docs/current/libpq-connect.html>). A host that
//! is unreachable, that starts up or that is not the requested kind of server is skipped. A server
//! that answers and refuses ends the search. The driver has neither the modes `allow` and `verify-*`
//! nor a limit for a server that accepts and does not answer.

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
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding as DriverBinding, SslMode as DriverMode, SslNegotiation,
};

/// Opens a session and fixes its settings. `purpose` is shown in the server's list of sessions.
///
/// # Errors
/// Every failed attempt is a cause of the error. Certificate files, servers and databases that
/// cannot be used are refused.
pub fn connect<D: Driver>(connection: &Connection, purpose: &str) -> Result<Session<D>> {
    let mut failures = Failure::default();
    // Only this preference may be ignored: a second round accepts any server.
    let targets: &[Target] = match connection.target {
        Target::PreferStandby => &[Target::Standby, Target::Any],
        ref target => std::slice::from_ref(target),
    };
    for target in targets {
        for host in ordered_hosts(connection) {
            match connect_to_host(connection, host, *target, purpose) {
                Ok(session) => return Ok(session),
                Err(failure) => failures.add(failure),
            }
            if failures.is_final {
                return Err(failures.into_error(connection));
            }
        }
    }
    Err(failures.into_error(connection))
}

/// The hosts in the order of the attempts.
fn ordered_hosts(connection: &Connection) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = connection.hosts.iter().collect();
    if connection.shuffle_hosts {
        fastrand::shuffle(&mut hosts);
    }
    hosts
}

fn connect_to_host<D: Driver>(
    connection: &Connection,
    host: &Host,
    target: Target,
    purpose: &str,
) -> Result<Session<D>, Failure> {
    let addresses = match &host.addr {
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
            Err(failure) => failures.add(failure),
        }
        if failures.is_final {
            break;
        }
    }
    Err(failures)
}

/// An attempt to connect to one address of one host.
struct Attempt<'a> {
    connection: &'a Connection,
    host: &'a Host,
    address: Option<IpAddr>,
    purpose: &'a str,
}

impl Attempt<'_> {
    /// Connects with and without TLS in the order of the `sslmode`. The flag of the result is true
    /// for an encrypted connection.
    fn connect<D: Driver>(&self) -> Result<(D, bool), Failure> {
        let mode = match self.host.addr {
            // A socket cannot be intercepted, and the server offers no TLS there.
            HostAddr::Socket(_) => SslMode::Disable,
            HostAddr::Tcp { .. } => self.connection.tls.mode,
        };
        match mode {
            SslMode::Disable => self.open(DriverMode::Disable),
            SslMode::Allow => self.open(DriverMode::Disable).or_else(|failure| {
                if !failure.is_refusal {
                    return Err(failure);
                }
                self.open(DriverMode::Require).map_err(|second| failure.and(second))
            }),
            SslMode::Prefer => self.open(DriverMode::Prefer).or_else(|failure| {
                // Without TLS at the server, the connection was already tried unencrypted.
                if !failure.may_be_tls() {
                    return Err(failure);
                }
                self.open(DriverMode::Disable).map_err(|second| failure.and(second))
            }),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                self.open(DriverMode::Require)
            }
        }
    }

    /// Connects in one mode. The flag of the result is true for an encrypted connection.
    fn open<D: Driver>(&self, mode: DriverMode) -> Result<(D, bool), Failure> {
        let Self { connection, host, address, .. } = *self;
        let tls_started = Arc::new(AtomicBool::new(false));
        let connector = match (mode, &host.addr) {
            (DriverMode::Disable, _) | (_, HostAddr::Socket(_)) => None,
            (_, HostAddr::Tcp { name, .. }) => {
                let started = Arc::clone(&tls_started);
                Some(tls::connector(&connection.tls, name.as_deref(), started)?)
            }
        };
        let config = self.config(mode);
        let connect = move || D::open(&config, connector);
        let result = with_timeout(connection.connect_timeout, connect);
        let encrypted = tls_started.load(Ordering::Relaxed);
        result
            .map(|client| (client, encrypted))
            .map_err(|error| Failure::from_error(error, connection, host, address, encrypted))
    }

    /// The settings of the driver.
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
        match &host.addr {
            HostAddr::Socket(folder) => {
                config.host_path(folder);
            }
            HostAddr::Tcp { name, .. } => {
                // The driver needs a name for every TLS handshake, at least an address.
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

/// Runs `connect` for at most `limit`. The driver limits only the time of the socket's connect, and a
/// server may accept and not answer. A thread that exceeds the limit ends when its socket does.
fn with_timeout<D: Driver>(
    limit: Option<Duration>,
    connect: impl FnOnce() -> Result<D, ConnectError> + Send + 'static,
) -> Result<D, ConnectError> {
    let Some(limit) = limit else { return connect() };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // After the limit nobody receives the result.
        let _ = sender.send(connect());
    });
    receiver.recv_timeout(limit).unwrap_or(Err(ConnectError::TimedOut(limit)))
}

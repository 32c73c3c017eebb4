//! A connection string: what a user writes to say which PostgreSQL database is meant, made into
//! everything that connecting needs.
//!
//! Accepted is what libpq and the Go driver `pgx` accept: URLs and `key=value` texts, completed
//! from the service file, the `PG*` variables and the password file. Two deliberate differences
//! from libpq, both towards safety: a password file that others can read is refused rather than
//! skipped, and a certificate file that is named but missing is an error in every `sslmode`.

pub(crate) mod key_value;
pub(crate) mod password_file;
pub(crate) mod service_file;
pub(crate) mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub(crate) mod url;

pub(crate) use crate::config::connection::settings::Origin;
pub(crate) use crate::config::connection::tls::{ChannelBinding, Roots, SslMode, Tls};

use crate::config::connection::password_file::PasswordFile;
use crate::config::connection::settings::Settings;
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The port of a server that names none.
const DEFAULT_PORT: u16 = 5432;

/// Everything needed to connect to one database. `Debug` and `display` show no secret.
#[derive(Clone)]
pub struct Connection {
    /// The hosts, in order of trial; at least one.
    pub(crate) hosts: Vec<Host>,
    /// The database's name.
    pub(crate) dbname: String,
    /// How the database is usually named, where that is known.
    pub(crate) usual_dbname: Option<&'static str>,
    /// The role's name.
    pub(crate) user: String,
    /// Where the passwords of the hosts came from, if there are any.
    pub(crate) password_origin: Option<Origin>,
    /// Where a password was looked for, each with what was found there, for the error of a
    /// server that wants one.
    pub(crate) password_places: Vec<String>,
    /// How the connection is encrypted.
    pub(crate) tls: Tls,
    /// The server options of the session (`-c name=value ...`).
    pub(crate) options: Option<String>,
    /// The longest time one attempt may take; none where it may take any.
    pub(crate) connect_timeout: Option<Duration>,
    /// What the server must be to be taken.
    pub(crate) target: Target,
    /// Hosts are tried in random order.
    pub(crate) shuffle_hosts: bool,
    /// The settings of the TCP connection.
    pub(crate) tcp: Tcp,
}

/// One host of a connection string.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Where it is.
    pub(crate) place: HostAddr,
    /// Its port (on a socket: the number in the socket's name).
    pub(crate) port: u16,
    /// The password to give it.
    pub(crate) password: Option<Secret>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostAddr {
    /// A host on the network.
    Tcp {
        /// Its name, which its certificate must bear in `verify-full`.
        name: Option<String>,
        /// Its address, if that was given and need not be looked up.
        address: Option<IpAddr>,
    },
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Target {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// The settings of the TCP connection; what is not set is the system's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tcp {
    /// Keepalive probes are sent.
    pub(crate) keepalives: bool,
    /// Silence before the first probe.
    pub(crate) idle: Option<Duration>,
    /// Time between probes.
    pub(crate) interval: Option<Duration>,
    /// Unanswered probes after which the connection is lost.
    pub(crate) count: Option<u32>,
    /// Time that sent data may stay unacknowledged.
    pub(crate) user_timeout: Option<Duration>,
}

/// What stands in for settings that neither the text nor the environment gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The `sslmode`.
    pub(crate) sslmode: SslMode,
    /// The password of the configuration file; it goes before the service file, the
    /// environment and the password file, and after one in the text itself.
    pub(crate) password: Option<Secret>,
    /// How the database is usually named, for the error of one that does not exist.
    pub(crate) usual_dbname: Option<&'static str>,
}

impl Connection {
    /// Reads a connection string and completes it.
    ///
    /// # Errors
    /// What cannot be read or does not make sense is refused, by the name of its key. No error
    /// holds the text or a part of it that could be a secret.
    pub fn parse(text: &str, environment: &Environment, defaults: Defaults) -> Result<Self> {
        let settings = gather(text, environment, &defaults)?;
        let user = settings.text("user").or(environment.user.as_deref()).ok_or_else(|| {
            Error::refused("the connection string names no user, and the system's user has no name")
                .hint("add user=NAME to the connection string, or set PGUSER")
        })?;
        let mut connection = Self {
            hosts: hosts(&settings, environment)?,
            dbname: settings.text("dbname").unwrap_or(user).to_owned(),
            usual_dbname: defaults.usual_dbname,
            user: user.to_owned(),
            password_origin: None,
            password_places: Vec::new(),
            tls: Tls::read(&settings, environment, defaults.sslmode)?,
            options: options(&settings),
            // libpq's own lower limit: less than two seconds fails for rounding alone.
            connect_timeout: positive(&settings, "connect_timeout")?
                .map(|seconds| Duration::from_secs(seconds.max(2))),
            target: settings.choice("target_session_attrs", &TARGETS)?.unwrap_or_default(),
            shuffle_hosts: settings
                .choice("load_balance_hosts", &[("disable", false), ("random", true)])?
                .unwrap_or_default(),
            tcp: tcp(&settings)?,
        };
        connection.find_passwords(&settings, environment)?;
        Ok(connection)
    }

    /// The connection as a URL without its secrets, for messages.
    pub(crate) fn display(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        let (user, dbname) = (url::encode(&self.user), url::encode(&self.dbname));
        format!("postgres://{user}@{}/{dbname}", hosts.join(","))
    }

    /// The same server, role and settings, another database.
    pub(crate) fn with_dbname(&self, dbname: &str) -> Self {
        Self { dbname: dbname.to_owned(), ..self.clone() }
    }

    /// Gives each host its password: the one that was given, or the password file's.
    fn find_passwords(&mut self, settings: &Settings, environment: &Environment) -> Result<()> {
        if let Some((password, origin)) = settings.get("password") {
            self.password_origin = Some(origin);
            for host in &mut self.hosts {
                host.password = Some(Secret::new(password.to_owned()));
            }
            return Ok(());
        }
        self.password_places.push("the connection string and the configuration: none given".into());
        self.password_places.push("the environment variable PGPASSWORD: not set".into());
        let path = match settings.text("passfile") {
            Some(path) => PathBuf::from(path),
            None => match &environment.home {
                Some(home) => home.join(".pgpass"),
                None => return Ok(()),
            },
        };
        let file = PasswordFile::read(path)?;
        for host in &mut self.hosts {
            host.password = host
                .names_in_password_file(environment)
                .iter()
                .find_map(|name| file.find(name, host.port, &self.dbname, &self.user));
        }
        if self.hosts.iter().any(|host| host.password.is_some()) {
            self.password_origin = Some(Origin::PasswordFile);
        }
        let found = if file.exists() { "no line fits" } else { "no such file" };
        self.password_places.push(format!("the password file {}: {found}", file.path().display()));
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.display()).finish()
    }
}

impl Host {
    /// The names under which a line of the password file may mean this host. A socket in one
    /// of the usual folders is also `localhost`.
    fn names_in_password_file(&self, environment: &Environment) -> Vec<String> {
        match &self.place {
            HostAddr::Tcp { name: Some(name), .. } => vec![name.clone()],
            HostAddr::Tcp { name: None, address } => {
                address.iter().map(IpAddr::to_string).collect()
            }
            HostAddr::Socket(folder) => {
                let usual = environment.socket_folders.contains(folder);
                let names =
                    [usual.then(|| "localhost".to_owned()), Some(folder.display().to_string())];
                names.into_iter().flatten().collect()
            }
        }
    }
}

/// `host:port` as it stands in a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            HostAddr::Tcp { name: Some(name), .. } if name.contains(':') => write!(f, "[{name}]")?,
            HostAddr::Tcp { name: Some(name), .. } => f.write_str(&url::encode(name))?,
            HostAddr::Tcp { name: None, address: Some(IpAddr::V6(address)) } => {
                write!(f, "[{address}]")?
            }
            HostAddr::Tcp { name: None, address: Some(address) } => write!(f, "{address}")?,
            HostAddr::Tcp { name: None, address: None } => f.write_str("localhost")?,
            HostAddr::Socket(folder) => f.write_str(&url::encode(&folder.display().to_string()))?,
        }
        write!(f, ":{}", self.port)
    }
}

const TARGETS: [(&str, Target); 6] = [
    ("any", Target::Any),
    ("read-write", Target::ReadWrite),
    ("read-only", Target::ReadOnly),
    ("primary", Target::Primary),
    ("standby", Target::Standby),
    ("prefer-standby", Target::PreferStandby),
];

/// All settings, in libpq's order: the text, the service file, the environment.
fn gather(text: &str, environment: &Environment, defaults: &Defaults) -> Result<Settings> {
    let mut settings = Settings::default();
    match url::after_scheme(text.trim()) {
        Some(rest) => url::read(rest, &mut settings)?,
        None => key_value::read(text, &mut settings)?,
    }
    if let Some(password) = &defaults.password {
        settings.put("password", password.reveal(), Origin::Configuration)?;
    }
    let service = settings.text("service").or_else(|| environment.get("PGSERVICE"));
    if let Some(service) = service.map(str::to_owned) {
        service_file::fill_from(&service, &mut settings, environment)?;
    }
    settings.fill_from(environment)?;
    for (key, why) in UNSUPPORTED {
        if settings.text(key).is_some() {
            return Err(settings.invalid(key, why));
        }
    }
    settings
        .choice("gssencmode", &[("disable", ()), ("prefer", ())])
        .map_err(|error| error.hint("Kerberos encryption is not supported; use TLS (sslmode)"))?;
    Ok(settings)
}

/// Keys that restrict what libpq does in ways we do not have: to pass over them in silence would
/// be less safe than what was asked for.
const UNSUPPORTED: [(&str, &str); 4] = [
    ("requirepeer", "the check of the server process's user is not supported"),
    ("require_auth", "restricting the method of authentication is not supported"),
    ("sslcrldir", "folders of revocation lists are not supported; name one file with sslcrl"),
    ("replication", "a replication connection cannot copy rows"),
];

/// The hosts, from the three parallel lists `host`, `hostaddr` and `port`.
fn hosts(settings: &Settings, environment: &Environment) -> Result<Vec<Host>> {
    fn list<'a>(settings: &'a Settings, key: &str) -> Vec<&'a str> {
        settings.text(key).map(|text| text.split(',').collect()).unwrap_or_default()
    }
    let (names, addresses) = (list(settings, "host"), list(settings, "hostaddr"));
    let ports = list(settings, "port");
    let count = names.len().max(addresses.len()).max(1);
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(settings.invalid("hostaddr", "there must be as many as hosts"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(settings.invalid("port", "there must be one, or as many as hosts"));
    }
    let mut hosts = Vec::with_capacity(count);
    for at in 0..count {
        let port = match ports.get(at).or(ports.first()).map_or("", |port| port.trim()) {
            "" => DEFAULT_PORT,
            port => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(settings.invalid("port", "it must be a number from 1 to 65535")),
            },
        };
        let name = names.get(at).copied().filter(|name| !name.is_empty());
        let address =
            match addresses.get(at).copied().filter(|address| !address.is_empty()) {
                Some(address) => Some(address.parse::<IpAddr>().map_err(|_| {
                    settings.invalid("hostaddr", "it must be an IPv4 or IPv6 address")
                })?),
                None => None,
            };
        let place = match name {
            Some(name) if name.starts_with('@') => {
                return Err(settings.invalid("host", "abstract sockets are not supported"));
            }
            Some(name) if name.starts_with('/') => HostAddr::Socket(name.into()),
            None if address.is_none() => usual_place(port, environment),
            name => HostAddr::Tcp { name: name.map(str::to_owned), address },
        };
        hosts.push(Host { place, port, password: None });
    }
    Ok(hosts)
}

/// The server of this machine: the first usual folder with a socket for the port, else
/// `localhost`.
fn usual_place(port: u16, environment: &Environment) -> HostAddr {
    let folders = environment.socket_folders.iter();
    match folders.into_iter().find(|folder| folder.join(format!(".s.PGSQL.{port}")).exists()) {
        Some(folder) => HostAddr::Socket(folder.clone()),
        None => HostAddr::Tcp { name: Some("localhost".to_owned()), address: None },
    }
}

/// The `options` with each setting of the session added as `-c name=value`. The server splits
/// them at white space; a backslash keeps a character as it is.
fn options(settings: &Settings) -> Option<String> {
    let mut options = settings.text("options").unwrap_or_default().to_owned();
    for (name, value) in &settings.parameters {
        if !options.is_empty() {
            options.push(' ');
        }
        options.push_str("-c ");
        options.push_str(name);
        options.push('=');
        for c in value.chars() {
            if c == '\\' || c.is_ascii_whitespace() || c == '\u{b}' {
                options.push('\\');
            }
            options.push(c);
        }
    }
    (!options.is_empty()).then_some(options)
}

fn tcp(settings: &Settings) -> Result<Tcp> {
    let seconds = |key| Ok(positive(settings, key)?.map(Duration::from_secs));
    Ok(Tcp {
        keepalives: settings.number("keepalives")? != Some(0),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: positive(settings, "keepalives_count")?.and_then(|count| u32::try_from(count).ok()),
        // The one that libpq takes in milliseconds.
        user_timeout: positive(settings, "tcp_user_timeout")?.map(Duration::from_millis),
    })
}

/// A number of which zero and less mean that it is not set.
fn positive(settings: &Settings, key: &str) -> Result<Option<u64>> {
    Ok(settings.number(key)?.and_then(|number| u64::try_from(number).ok()).filter(|n| *n > 0))
}

//! Connection strings: the parser that turns a user's text into the parameters of a connection.
//!
//! The parser accepts the syntax of libpq and of the Go driver `pgx`: URLs and `key=value` texts.
//! The service file, the `PG*` variables and the password file supply missing values.
//!
//! The parser differs from libpq in two points, both for safety:
//!
//! - A password file that others can read is refused, not skipped.
//! - A named certificate file that is missing is an error in every `sslmode`.

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

const DEFAULT_PORT: u16 = 5432;

/// The parameters of a connection to one database. `Debug` and `display` show no secret.
#[derive(Clone)]
pub struct Connection {
    /// The hosts, in the order of trial. There is at least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) dbname: String,
    /// The usual name of the database, if it is known.
    pub(crate) usual_dbname: Option<&'static str>,
    pub(crate) user: String,
    /// The origin of the hosts' passwords, if there are any.
    pub(crate) password_origin: Option<Origin>,
    /// Where a password was searched, each with the result. The error of a server that requires a
    /// password lists them.
    pub(crate) password_sources: Vec<String>,
    pub(crate) tls: Tls,
    /// The server options of the session (`-c name=value ...`).
    pub(crate) options: Option<String>,
    /// The time limit of one attempt; `None` means no limit.
    pub(crate) connect_timeout: Option<Duration>,
    /// The required kind of server.
    pub(crate) target: Target,
    /// Whether the hosts are tried in random order.
    pub(crate) shuffle_hosts: bool,
    pub(crate) tcp: Tcp,
}

/// One host of a connection string.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) addr: HostAddr,
    /// The port (for a socket: the number in the socket's name).
    pub(crate) port: u16,
    pub(crate) password: Option<Secret>,
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostAddr {
    /// A host on the network.
    Tcp {
        /// The name. The server's certificate must contain it in `verify-full`.
        name: Option<String>,
        /// The IP address, if it was given. It saves the name lookup.
        address: Option<IpAddr>,
    },
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// The values of libpq's `target_session_attrs`.
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

/// The settings of the TCP connection. `None` means the system's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tcp {
    /// Whether keepalive probes are sent.
    pub(crate) keepalives: bool,
    /// The idle time before the first probe.
    pub(crate) idle: Option<Duration>,
    /// The time between probes.
    pub(crate) interval: Option<Duration>,
    /// The number of unanswered probes after which the connection is lost.
    pub(crate) count: Option<u32>,
    /// The time that sent data may stay unacknowledged.
    pub(crate) user_timeout: Option<Duration>,
}

/// The values of settings that are missing from the connection string and the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    pub(crate) sslmode: SslMode,
    /// The password of the configuration file. It overrides the service file, the environment
    /// and the password file. A password in the connection string overrides it.
    pub(crate) password: Option<Secret>,
    /// The usual name of the database, for the error of a missing database.
    pub(crate) usual_dbname: Option<&'static str>,
}

impl Connection {
    /// Parses a connection string and supplies missing values.
    ///
    /// # Errors
    /// Refused if the text is malformed, a value is invalid or no user is known. The error names
    /// the key. It contains no part of the text that could be a secret.
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
            password_sources: Vec::new(),
            tls: Tls::read(&settings, environment, defaults.sslmode)?,
            options: options(&settings),
            // libpq has the same lower limit: rounding makes a limit below 2 seconds fail.
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

    /// The connection as a URL without secrets, for messages.
    pub(crate) fn display(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        let (user, dbname) = (url::encode(&self.user), url::encode(&self.dbname));
        format!("postgres://{user}@{}/{dbname}", hosts.join(","))
    }

    /// The connection to another database, with the same server, role and settings.
    pub(crate) fn with_dbname(&self, dbname: &str) -> Self {
        Self { dbname: dbname.to_owned(), ..self.clone() }
    }

    /// Sets the password of each host: the given one, or that of the password file.
    fn find_passwords(&mut self, settings: &Settings, environment: &Environment) -> Result<()> {
        if let Some((password, origin)) = settings.get("password") {
            self.password_origin = Some(origin);
            for host in &mut self.hosts {
                host.password = Some(Secret::new(password.to_owned()));
            }
            return Ok(());
        }
        self.password_sources
            .push("the connection string and the configuration: none given".into());
        self.password_sources.push("the environment variable PGPASSWORD: not set".into());
        let usual = || Some(environment.home.as_ref()?.join(".pgpass"));
        let path = settings.text("passfile").map(PathBuf::from).or_else(usual);
        let Some(path) = path else { return Ok(()) };
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
        let found = if file.text.is_some() { "no line fits" } else { "no such file" };
        self.password_sources.push(format!("the password file {}: {found}", file.path.display()));
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.display()).finish()
    }
}

impl Host {
    /// The names of this host in the password file. A socket in one of the usual folders is also
    /// `localhost`.
    fn names_in_password_file(&self, environment: &Environment) -> Vec<String> {
        match &self.addr {
            HostAddr::Tcp { name: Some(name), .. } => vec![name.clone()],
            HostAddr::Tcp { name: None, address } => {
                address.iter().map(IpAddr::to_string).collect()
            }
            HostAddr::Socket(folder) => {
                let is_usual = environment.socket_folders.contains(folder);
                let localhost = is_usual.then(|| "localhost".to_owned());
                localhost.into_iter().chain([folder.display().to_string()]).collect()
            }
        }
    }
}

/// Formats `host:port` for a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.addr {
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

/// Parses the text alone. Errors show no part of it but keys, and what resembles one.
pub(crate) fn read(text: &str) -> Result<Settings> {
    let mut settings = Settings::default();
    match url::after_scheme(text.trim()) {
        Some(rest) => url::read(rest, &mut settings)?,
        None if url::is_url(text.trim()) => return Err(url::unknown_scheme()),
        None => key_value::read(text, &mut settings)?,
    }
    Ok(settings)
}

/// Gathers all settings. The precedence is libpq's: text, service file, environment.
fn gather(text: &str, environment: &Environment, defaults: &Defaults) -> Result<Settings> {
    let mut settings = read(text)?;
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

/// Unsupported keys, each with the message. They restrict a connection, so ignoring one would be
/// less safe than the user requested.
const UNSUPPORTED: [(&str, &str); 4] = [
    ("requirepeer", "the check of the server process's user is not supported"),
    ("require_auth", "restricting the method of authentication is not supported"),
    ("sslcrldir", "folders of revocation lists are not supported; name one file with sslcrl"),
    ("replication", "a replication connection cannot copy rows"),
];

/// Builds the hosts from the three parallel lists `host`, `hostaddr` and `port`.
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
        let address = addresses.get(at).filter(|address| !address.is_empty());
        let address = address.map(|address| address.parse::<IpAddr>()).transpose();
        let address = address
            .map_err(|_| settings.invalid("hostaddr", "it must be an IPv4 or IPv6 address"))?;
        let addr = match name {
            Some(name) if name.starts_with('@') => {
                return Err(settings.invalid("host", "abstract sockets are not supported"));
            }
            Some(name) if name.starts_with('/') => HostAddr::Socket(name.into()),
            None if address.is_none() => usual_addr(port, environment),
            name => HostAddr::Tcp { name: name.map(str::to_owned), address },
        };
        hosts.push(Host { addr, port, password: None });
    }
    Ok(hosts)
}

/// The address of this machine's server: the first usual folder with a socket for the port, or
/// `localhost` if there is none.
fn usual_addr(port: u16, environment: &Environment) -> HostAddr {
    let folders = environment.socket_folders.iter();
    match folders.into_iter().find(|folder| folder.join(format!(".s.PGSQL.{port}")).exists()) {
        Some(folder) => HostAddr::Socket(folder.clone()),
        None => HostAddr::Tcp { name: Some("localhost".to_owned()), address: None },
    }
}

/// The `options`, with each setting of the session added as `-c name=value`. The server splits
/// the text at white space that no backslash escapes.
fn options(settings: &Settings) -> Option<String> {
    let parameter = |(name, value): &(String, String)| {
        let mut text = format!("-c {name}=");
        for c in value.chars() {
            if c == '\\' || c.is_ascii_whitespace() || c == '\u{b}' {
                text.push('\\');
            }
            text.push(c);
        }
        text
    };
    let given = settings.text("options").map(str::to_owned);
    let all: Vec<String> =
        given.into_iter().chain(settings.parameters.iter().map(parameter)).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn tcp(settings: &Settings) -> Result<Tcp> {
    let seconds = |key| Ok(positive(settings, key)?.map(Duration::from_secs));
    Ok(Tcp {
        keepalives: settings.number("keepalives")? != Some(0),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: positive(settings, "keepalives_count")?.and_then(|count| u32::try_from(count).ok()),
        // libpq has milliseconds for this setting only.
        user_timeout: positive(settings, "tcp_user_timeout")?.map(Duration::from_millis),
    })
}

/// The number under `key`. A number below 1 counts as not set.
fn positive(settings: &Settings, key: &str) -> Result<Option<u64>> {
    Ok(settings.number(key)?.and_then(|number| u64::try_from(number).ok()).filter(|n| *n > 0))
}

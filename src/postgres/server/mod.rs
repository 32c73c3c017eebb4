//! A private PostgreSQL server: for the demo, for rehearsals and for tests.
//!
//! Its temporary folder is closed to other users and holds its socket. It runs as an unprivileged
//! user if this process is root, and is removed with its folder when this process ends: see
//! [`watchdog`].

pub(crate) mod account;
pub(crate) mod folder;
pub(crate) mod programs;
pub(crate) mod watchdog;

use crate::config::connection::url::encode;
use crate::error::{Error, Result};
use crate::postgres::server::account::Account;
use crate::postgres::server::watchdog::Watchdog;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};
use tempfile::TempDir;

pub(crate) const USER: &str = "postgres";

/// PostgreSQL's default port. Without TCP it is only a part of the socket's name.
const DEFAULT_PORT: u16 = 5432;

/// How long a server may take to accept connections, including recovery after a crash.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The most lines of the server's log in an error.
const MAX_LOG_LINES: usize = 15;

/// The options of a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's default durability. `false` turns off `fsync` and `full_page_writes`: faster,
    /// and safe unless the whole machine crashes.
    pub durable: bool,
    /// Also listen on 127.0.0.1, on a free port, with a password ([`PrivateServer::tcp_url`]): every
    /// user of this machine can reach that address.
    pub tcp: bool,
    /// More settings for `postgresql.conf`, as name and value; the last one of a name wins.
    pub settings: Vec<(String, String)>,
    /// More arguments for `initdb`, such as `--locale=C`; they win over the default ones.
    pub initdb: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true, tcp: false, settings: Vec::new(), initdb: Vec::new() }
    }
}

/// The ways to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends sessions, rolls back transactions, and writes a checkpoint.
    Fast,
    /// Stops all server processes at once, without a checkpoint.
    Immediate,
    /// Kills the postmaster with `kill -9`; its sessions notice it later.
    Kill,
}

impl Shutdown {
    fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
            Self::Kill => "KILL",
        }
    }
}

/// A running private server. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct PrivateServer {
    // Dropped in this order: the watchdog ends the server and empties the folder before the folder
    // is removed.
    watchdog: Watchdog,
    folder: TempDir,
    bin: PathBuf,
    port: u16,
    password: Option<String>,
    postmaster: Option<u32>,
}

impl PrivateServer {
    /// Creates a new server and waits until it accepts connections.
    ///
    /// # Errors
    /// No server programs or no usable folder were found, or the server does not start; the error
    /// has the last lines of its log.
    pub fn start(options: &Options) -> Result<Self> {
        let account = Account::choose()?;
        let bin = programs::find(account.as_ref())?;
        let folder = folder::make(account.as_ref())?;
        let password = options.tcp.then(random_password).transpose()?;
        let mut initdb = initdb_arguments(password.is_some(), folder.path());
        initdb.extend(options.initdb.iter().cloned());
        let mut server = Self {
            watchdog: Watchdog::start(account.as_ref(), &bin, folder.path(), &initdb)?,
            folder,
            bin,
            port: DEFAULT_PORT,
            password,
            postmaster: None,
        };
        server.make_cluster(account.as_ref())?;
        server.configure(options)?;
        server.launch()?;
        Ok(server)
    }

    /// A URL for `database` over the socket, in a form that psql also accepts.
    pub fn url(&self, database: &str) -> String {
        let (database, folder) = (encode(database), encode(&self.folder().to_string_lossy()));
        format!("postgres://{USER}@/{database}?host={folder}&port={}", self.port)
    }

    /// A URL for `database` over TCP, with the password; `None` without TCP.
    pub fn tcp_url(&self, database: &str) -> Option<String> {
        let password = self.password.as_ref()?;
        Some(format!("postgres://{USER}:{password}@127.0.0.1:{}/{}", self.port, encode(database)))
    }

    /// The server's folder, with the socket, `data` and `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port: of TCP, and in the name of the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's programs, often with a matching `psql`.
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// The process id of the postmaster; `None` while the server is stopped.
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.postmaster
    }

    /// Stops the server and waits until the postmaster has ended. The folder stays for
    /// [`Self::restart`].
    pub fn shut_down(&mut self, how: Shutdown) -> Result<()> {
        self.postmaster = None;
        self.watchdog.shut_down(how.signal())
    }

    /// Starts the server again on the same data, after a fast stop if it still runs.
    ///
    /// # Errors
    /// The server does not start; the error has the last lines of its log.
    pub fn restart(&mut self) -> Result<()> {
        // Also if the server has ended by itself: the watchdog must reap it.
        self.shut_down(Shutdown::Fast)?;
        self.launch()
    }

    /// Stops the server and removes its folder.
    pub fn stop(mut self) -> Result<()> {
        self.shut_down(Shutdown::Fast)
    }

    /// Runs `initdb`.
    fn make_cluster(&mut self, account: Option<&Account>) -> Result<()> {
        if let Some(password) = &self.password {
            let file = password_file(self.folder());
            let unwritable = |e| Error::failed("cannot write the server's password").caused_by(e);
            // The folder is already closed to other users.
            fs::write(&file, password).map_err(unwritable)?;
            account.map_or(Ok(()), |a| a.own(&file)).map_err(unwritable)?;
        }
        let made = self.watchdog.initdb()?;
        let _ = fs::remove_file(password_file(self.folder()));
        if made { Ok(()) } else { Err(self.failed("initdb failed")) }
    }

    /// Appends the settings to the server's configuration.
    fn configure(&mut self, options: &Options) -> Result<()> {
        let mut lines = String::from("\n");
        let mut set = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{name} = '{}'", quoted_setting(value));
        };
        if options.tcp {
            self.port = free_port()?;
        }
        set("listen_addresses", if options.tcp { "127.0.0.1" } else { "" });
        set("port", &self.port.to_string());
        // PostgreSQL splits the list at commas, except in double quotes.
        let folder = self.folder.path().to_string_lossy().replace('"', "\"\"");
        set("unix_socket_directories", &format!("\"{folder}\""));
        if !options.durable {
            set("fsync", "off");
            set("full_page_writes", "off");
        }
        for (name, value) in &options.settings {
            if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
                return Err(Error::usage(format!("\"{name}\" is not a valid name of a setting")));
            }
            set(name, value);
        }
        let file = self.folder().join("data/postgresql.conf");
        let unwritable = |e| Error::failed(format!("cannot write {}", file.display())).caused_by(e);
        let mut text = fs::read_to_string(&file).map_err(unwritable)?;
        text.push_str(&lines);
        fs::write(&file, text).map_err(unwritable)
    }

    /// Starts the postmaster and waits until it accepts connections.
    fn launch(&mut self) -> Result<()> {
        let pid = self.watchdog.launch()?;
        let unreadable = |e| Error::failed("cannot read the server's URL").caused_by(e);
        let mut config: postgres::Config = self.url("postgres").parse().map_err(unreadable)?;
        config.connect_timeout(START_TIMEOUT);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match config.connect(postgres::NoTls) {
                Ok(_) => break,
                Err(e) if is_final(&e) => {
                    return Err(self.failed("the server refuses connections").caused_by(e));
                }
                Err(_) if has_ended(pid) => return Err(self.failed("the server did not start")),
                Err(e) if Instant::now() > deadline => {
                    let what = format!("no answer within {} seconds", START_TIMEOUT.as_secs());
                    return Err(self.failed(&what).caused_by(e));
                }
                // The server is starting.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        self.postmaster = Some(pid);
        Ok(())
    }

    /// An error with the end of the server's log.
    fn failed(&self, what: &str) -> Error {
        let log = fs::read(self.folder().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(MAX_LOG_LINES)..];
        let error = Error::failed(format!("the private PostgreSQL server: {what}"));
        tail.iter().fold(error, Error::caused_by).hint(format!(
            "the programs are in {}; set PG_BIN to use others, or install Debian's: apt install \
             postgresql",
            self.bin.display()
        ))
    }
}

/// The arguments of `initdb`: users who can enter the folder are trusted, no others.
fn initdb_arguments(password: bool, folder: &Path) -> Vec<String> {
    let host = if password { "scram-sha-256" } else { "reject" };
    let fixed = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C.UTF-8"];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
    arguments.extend([format!("--username={USER}"), "--auth-local=trust".to_owned()]);
    arguments.push(format!("--auth-host={host}"));
    if password {
        arguments.push(format!("--pwfile={}", password_file(folder).display()));
    }
    arguments
}

/// The file from which `initdb` reads the password.
fn password_file(folder: &Path) -> PathBuf {
    folder.join("password")
}

/// 128 random bits of the system, as hexadecimal digits.
fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::failed("cannot get random bytes of the system").caused_by(e))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// A TCP port of 127.0.0.1 that is free now.
fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::failed("cannot find a free TCP port").caused_by(e))
}

/// `value`, escaped for quotes in `postgresql.conf`.
fn quoted_setting(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n")
}

/// Whether waiting cannot help a failed connection: the server answered, and it is not starting.
fn is_final(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| *code != postgres::error::SqlState::CANNOT_CONNECT_NOW)
}

/// Whether the process has ended. It stays a zombie until the watchdog reaps it.
fn has_ended(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the name, which is in parentheses and may contain parentheses.
        Ok(stat) => stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_survives_quotes_backslashes_and_newlines() {
        assert_eq!(quoted_setting(r"it's C:\x"), r"it''s C:\\x");
        assert_eq!(quoted_setting("a\nfsync = off"), r"a\nfsync = off");
    }

    #[test]
    fn a_database_name_is_encoded_for_the_url() {
        assert_eq!(encode("a b/ü?"), "a%20b%2F%C3%BC%3F");
    }

    #[test]
    fn a_running_process_has_not_ended_and_a_missing_one_has() {
        assert!(!has_ended(std::process::id()));
        assert!(has_ended(u32::MAX));
    }
}

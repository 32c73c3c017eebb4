//! The server of all rounds.

use crate::Outcome;
use migrate::internals::{Options, PrivateServer, Shutdown};
use postgres::{Client, NoTls};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to recover.
const RECOVERY: Duration = Duration::from_secs(60);

/// A private server.
pub struct Control {
    server: PrivateServer,
}

impl Control {
    pub fn start() -> Outcome<Self> {
        let settings = [("max_connections", "60"), ("log_min_messages", "fatal")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = Options { durable: false, tcp: true, settings, ..Options::default() };
        Ok(Self { server: PrivateServer::start(&options)? })
    }

    /// Replaces the server, which may be in any state.
    pub fn renew(&mut self) -> Outcome<()> {
        *self = Self::start()?;
        Ok(())
    }

    /// A URL over the socket.
    pub fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// A URL over TCP through another port.
    pub fn url_by(&self, port: u16, database: &str) -> Outcome<String> {
        let url = self.server.tcp_url(database).ok_or("no TCP")?;
        let ours = format!(":{}/", self.server.port());
        Ok(format!("{}?sslmode=disable", url.replace(&ours, &format!(":{port}/"))))
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The data folder.
    pub fn data(&self) -> std::path::PathBuf {
        self.server.folder().join("data")
    }

    /// Opens a session on `database`; waits for a server that is starting.
    pub fn connect(&self, database: &str) -> Outcome<Client> {
        let started = Instant::now();
        loop {
            match Client::connect(&self.server.url(database), NoTls) {
                Ok(client) => return Ok(client),
                Err(error) if started.elapsed() > RECOVERY => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Runs a statement on the database `postgres`.
    pub fn run(&self, sql: &str) -> Outcome<()> {
        Ok(self.connect("postgres")?.batch_execute(sql)?)
    }

    /// Kills the server with `kill -9` and starts it again after `rest`.
    pub fn kill_and_start(&mut self, rest: Duration) -> Outcome<()> {
        self.server.shut_down(Shutdown::Kill)?;
        sleep(rest);
        let started = Instant::now();
        loop {
            // The last process of the old server may still hold its shared memory.
            match self.server.restart() {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > RECOVERY => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }
}

//! The server of all rounds, and a session on it that is not the program's.

use crate::Outcome;
use migrate::internals::{Halt, Options, PrivateServer};
use postgres::{Client, NoTls};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to be there again.
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

    /// Another server, as the old one may be in any state.
    pub fn renew(&mut self) -> Outcome<()> {
        *self = Self::start()?;
        Ok(())
    }

    /// A URL over the socket.
    pub fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// A URL over TCP by way of another port.
    pub fn url_by(&self, port: u16, database: &str) -> Outcome<String> {
        let url = self.server.tcp_url(database).ok_or("no TCP")?;
        let ours = format!(":{}/", self.server.port());
        Ok(format!("{}?sslmode=disable", url.replace(&ours, &format!(":{port}/"))))
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The folder that belongs to the server's user.
    pub fn data(&self) -> std::path::PathBuf {
        self.server.folder().join("data")
    }

    /// A session on `database`; waits for a server that is on its way.
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

    /// Runs a statement on the server's own database.
    pub fn run(&self, sql: &str) -> Outcome<()> {
        Ok(self.connect("postgres")?.batch_execute(sql)?)
    }

    /// `kill -9`, and after `rest` started again.
    pub fn kill_and_start(&mut self, rest: Duration) -> Outcome<()> {
        self.server.halt(Halt::Kill)?;
        sleep(rest);
        let started = Instant::now();
        loop {
            // The old server's last process may still hold its shared memory.
            match self.server.restart() {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > RECOVERY => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }
}

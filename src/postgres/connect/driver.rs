//! The two drivers of a session: the synchronous client, and the reader of tuples.

use crate::postgres::copy_out::TupleReader;
use postgres::tls::MakeTlsConnect;
use postgres::{Client, Error, NoTls, SimpleQueryMessage, SimpleQueryRow, Socket};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why an attempt to connect failed.
pub enum ConnectError {
    /// The driver's error.
    Driver(postgres::Error),
    /// The system lacks something that the driver needs.
    System(std::io::Error),
    /// No answer within this time.
    TimedOut(Duration),
}

/// A driver.
pub trait Driver: Sized + Send + 'static {
    /// Opens a connection, with TLS if there is a connector.
    fn open(config: &Config, tls: Option<MakeRustlsConnect>) -> Result<Self, ConnectError>;

    /// Runs a query whose results are texts.
    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error>;

    /// Runs statements.
    fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        self.simple_query(sql).map(drop)
    }

    /// The first row of a query whose results are texts.
    fn first_row(&mut self, sql: &str) -> Result<Option<SimpleQueryRow>, Error> {
        Ok(self.simple_query(sql)?.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        }))
    }
}

impl Driver for Client {
    fn open(config: &Config, tls: Option<MakeRustlsConnect>) -> Result<Self, ConnectError> {
        let mut config = postgres::Config::from(config.clone());
        // Notices are for interactive use.
        config.notice_callback(|_| {});
        match tls {
            Some(tls) => config.connect(tls),
            None => config.connect(NoTls),
        }
        .map_err(ConnectError::Driver)
    }

    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        Self::simple_query(self, sql)
    }
}

impl Driver for TupleReader {
    fn open(config: &Config, tls: Option<MakeRustlsConnect>) -> Result<Self, ConnectError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ConnectError::System)?;
        let connected = match tls {
            Some(tls) => runtime.block_on(connect(config, tls)),
            None => runtime.block_on(connect(config, NoTls)),
        };
        let (client, connection) = connected.map_err(ConnectError::Driver)?;
        Ok(Self::new(runtime, client, connection))
    }

    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        Self::simple_query(self, sql)
    }
}

/// Connects, and starts the task of the connection.
async fn connect<T>(
    config: &Config,
    tls: T,
) -> Result<(tokio_postgres::Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    // The statement that waits for an answer gets the error of the connection.
    Ok((client, tokio::spawn(async { drop(connection.await) })))
}

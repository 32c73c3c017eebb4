//! What a session is opened with: the synchronous client, or a reader of tuples.

use crate::postgres::copy_out::TupleReader;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Error, SimpleQueryMessage, Socket};
use std::time::Duration;
use tokio_postgres::Config;

/// Why an attempt to connect failed.
pub enum ConnectError {
    /// The driver's error.
    Driver(postgres::Error),
    /// The system lacks something that the driver needs.
    System(std::io::Error),
    /// No answer within this time.
    TimedOut(Duration),
}

/// A kind of connection.
pub trait Driver: Sized + Send + 'static {
    /// Connects.
    fn open<T>(config: &Config, tls: T) -> Result<Self, ConnectError>
    where
        T: MakeTlsConnect<Socket> + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send;

    /// Asks a query whose answers come as text.
    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error>;

    /// Runs statements.
    fn batch_execute(&mut self, sql: &str) -> Result<(), Error>;
}

impl Driver for Client {
    fn open<T>(config: &Config, tls: T) -> Result<Self, ConnectError>
    where
        T: MakeTlsConnect<Socket> + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        // Notices are for people at a prompt; nobody reads them here.
        let mut config = postgres::Config::from(config.clone());
        config.notice_callback(|_| {}).connect(tls).map_err(ConnectError::Driver)
    }

    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        Self::simple_query(self, sql)
    }

    fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        Self::batch_execute(self, sql)
    }
}

impl Driver for TupleReader {
    fn open<T>(config: &Config, tls: T) -> Result<Self, ConnectError>
    where
        T: MakeTlsConnect<Socket> + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ConnectError::System)?;
        let connected = runtime.block_on(config.connect(tls));
        let (client, connection) = connected.map_err(ConnectError::Driver)?;
        // How the connection ends is told to whoever waits for an answer.
        let connection = runtime.spawn(async { drop(connection.await) });
        Ok(Self::new(runtime, client, connection))
    }

    fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        Self::simple_query(self, sql)
    }

    fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        self.simple_query(sql).map(drop)
    }
}

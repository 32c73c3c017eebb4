//! The two drivers of a session: the synchronous client, and the reader of tuples.

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

/// A driver.
pub trait Driver: Sized + Send + 'static {
    /// Opens a connection.
    fn open<T>(config: &Config, tls: T) -> Result<Self, ConnectError>
    where
        T: MakeTlsConnect<Socket> + Send + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send;

    /// Runs a query whose results are texts.
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
        // Notices are for interactive use.
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
        // The statement that waits for an answer gets the error of the connection.
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

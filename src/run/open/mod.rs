//! Opening both databases of a data set and locking the source.

pub(crate) mod source_sessions;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::Result;
use crate::options::location::DataSet;
use crate::options::run_options::RunOptions;
use crate::postgres::connect::connect;
use crate::postgres::lease::advisory_lock;
use crate::sqlite::source::open::{Source, SourceOptions};
use postgres::Client;
use std::path::Path;

/// Opens a SQLite database for reading.
pub(crate) fn open_source(file: &Path, options: &RunOptions) -> Result<Source> {
    let defaults = SourceOptions::default();
    Source::open(file, &SourceOptions { temp_dir: options.temp_dir.clone(), ..defaults })
}

/// The connection to the PostgreSQL side of `data_set`, at `url`.
pub(crate) fn parse_connection(url: &Secret, data_set: &DataSet) -> Result<Connection> {
    let environment = Environment::of_this_process();
    Connection::parse(url.reveal(), &environment, data_set.defaults.clone())
}

/// Interrupts the readers of `source` when the run is stopped.
pub(crate) fn cancel_reads(canceller: &StatementCanceller, source: &Source) {
    let interrupter = source.interrupter();
    canceller.add_source_hook(move || interrupter.interrupt());
}

/// Cancels the statements of all sessions that hold the advisory lock `key` when the run is stopped.
/// It opens a session for that, so that no session has to keep the others' cancel keys.
pub(crate) fn cancel_statements(canceller: &StatementCanceller, connection: &Connection, key: i64) {
    let connection = connection.clone();
    canceller.add_server_hook(move || {
        // A server that refuses the session now may accept it at the next attempt.
        if let Ok(mut session) = connect::<Client>(&connection, "cancel") {
            let _ = advisory_lock::cancel_holders(&mut session.client, key);
        }
    });
}

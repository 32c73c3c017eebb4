//! Opening: both databases of a data set on the way into PostgreSQL, the source fenced and the
//! target's schema claimed.

pub(crate) mod to_sqlite;

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::control::stall::StallFlag;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::{DataSet, Location, Options, Verify};
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::connect;
use crate::postgres::connect::create_database::create_database;
use crate::postgres::connect::session::Session;
use crate::postgres::lease::advisory_lock;
use crate::postgres::lease::heartbeat::StallAlarm;
use crate::postgres::lease::run_lock::{RunId, RunLock, SessionFactory, purpose_of};
use crate::sqlite::source::open::{Source, SourceOptions};
use postgres::Client;
use std::collections::HashSet;
use std::path::Path;

/// Both databases of a data set.
pub(crate) struct OpenDataSet {
    /// The data set's name.
    pub(crate) data_set: String,
    /// The fenced source.
    pub(crate) source: Source,
    /// The right to write to the target schema.
    pub(crate) claim: RunLock,
    /// The session that had the lock first.
    pub(crate) keeper: Client,
    /// The server's process behind it.
    pub(crate) backend: Backend,
    /// The target schema.
    pub(crate) schema: String,
}

/// What opens the data sets of one run, one after another.
pub(crate) struct DataSetOpener<'a> {
    /// What was asked for.
    pub(crate) options: &'a Options,
    /// What the databases are busy with is interrupted with the run.
    pub(crate) canceller: &'a StatementCanceller,
    /// Set when a server does not answer.
    pub(crate) stall: &'a StallFlag,
    /// The run.
    pub(crate) run: RunId,
    /// The backends of the run that have a statement in flight.
    in_flight: InFlight,
    /// The places that are claimed already.
    claimed: HashSet<String>,
}

impl<'a> DataSetOpener<'a> {
    /// For one run.
    pub(crate) fn new(
        options: &'a Options,
        canceller: &'a StatementCanceller,
        stall: &'a StallFlag,
    ) -> Self {
        let (run, in_flight) = (RunId::new(), InFlight::default());
        Self { options, canceller, stall, run, in_flight, claimed: HashSet::new() }
    }

    /// Opens both databases.
    ///
    /// # Errors
    /// Either cannot be opened, or another run is at work.
    pub(crate) fn open(&mut self, data_set: &DataSet) -> Result<OpenDataSet> {
        let (Location::Sqlite(file), Location::Postgres(target)) =
            (&data_set.source, &data_set.target)
        else {
            return Err(Error::refused("all data sets of a run go the same way"));
        };
        let connection = Connection::parse(
            target.reveal(),
            &Environment::of_this_process(),
            data_set.defaults.clone(),
        )?;
        let mut source = Some(open_source(file, self.options)?);
        let Session { client: mut keeper, schema, backend, .. } = self.connect(&connection)?;
        let schema = self.options.schema.clone().or(schema).ok_or_else(|| self.no_schema())?;
        let sessions = SessionFactory::new(&connection, &schema, &self.run, &self.in_flight);
        let claim = if self.claimed.insert(schema_id(&mut keeper, &schema)?) {
            // Of two runs that were started at once the one that waits must not have the source
            // open, which would be a sign to the other one that somebody uses it.
            let mut step_back = || source.take().map_or(Ok(None), Source::close).map(drop);
            let wait = (self.canceller.scope(), &mut step_back as _);
            let alarm = StallAlarm { flag: self.stall.clone(), after: self.options.retry_for };
            RunLock::take(&mut keeper, &schema, sessions, wait, alarm)?
        } else {
            RunLock::share(&mut keeper, sessions)?
        };
        let source = source.map_or_else(|| open_source(file, self.options), Ok)?;
        cancel_reads(self.canceller, &source);
        cancel_statements(self.canceller, &connection, claim.key());
        let data_set = data_set.name.clone();
        Ok(OpenDataSet { data_set, source, claim, keeper, backend, schema })
    }

    fn connect(&self, connection: &Connection) -> Result<Session> {
        let purpose = purpose_of("control", &self.run);
        match connect(connection, &purpose) {
            Err(error) if self.options.create_database => {
                if create_database(connection)? {
                    connect(connection, &purpose)
                } else {
                    Err(error)
                }
            }
            session => session,
        }
    }

    fn no_schema(&self) -> Error {
        Error::refused("the target's search path names no schema that exists").hint(
            match self.options.verify {
                Verify::Only(_) => "name the schema with options=-csearch_path=NAME",
                _ => "create the schema, or name another one with options=-csearch_path=NAME",
            },
        )
    }
}

/// Interrupts the readers of `source` when the run is stopped.
pub(crate) fn cancel_reads(canceller: &StatementCanceller, source: &Source) {
    let interrupter = source.interrupter();
    canceller.add_source_hook(move || interrupter.interrupt());
}

/// Cancels the statements of all sessions that hold the advisory lock `key` when the run is stopped.
/// It opens a session for that: no session has to keep the others' cancel keys.
pub(crate) fn cancel_statements(canceller: &StatementCanceller, connection: &Connection, key: i64) {
    let connection = connection.clone();
    canceller.add_server_hook(move || {
        // A server that refuses the session now may accept it at the next attempt.
        if let Ok(mut session) = connect::<Client>(&connection, "cancel") {
            let _ = advisory_lock::cancel_holders(&mut session.client, key);
        }
    });
}

/// Opens a SQLite database to be read.
pub(crate) fn open_source(file: &Path, options: &Options) -> Result<Source> {
    let defaults = SourceOptions::default();
    Source::open(file, &SourceOptions { temp_dir: options.temp_dir.clone(), ..defaults })
}

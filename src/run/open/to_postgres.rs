//! Opening both databases of a data set for a run into PostgreSQL: the source is locked against
//! writers, and the target schema against other runs.

use crate::config::connection::Connection;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, Location};
use crate::options::run_options::Verify;
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::connect;
use crate::postgres::connect::create_database::create_database;
use crate::postgres::connect::session::Session;
use crate::postgres::lease::heartbeat::StallAlarm;
use crate::postgres::lease::run_lock::{RunId, RunLock, SessionFactory, purpose_of};
use crate::run::env::RunEnv;
use crate::run::open::{cancel_reads, cancel_statements, open_source, parse_connection};
use crate::sqlite::source::open::Source;
use postgres::Client;
use std::collections::HashSet;
use std::sync::Arc;

/// The open databases of a data set.
pub(crate) struct OpenDataSet {
    pub(crate) data_set: String,
    /// The source, locked against writers.
    pub(crate) source: Source,
    pub(crate) lock: RunLock,
    pub(crate) control: Client,
    /// The server's process behind the control session.
    pub(crate) backend: Backend,
    pub(crate) schema: String,
}

/// Opens the data sets of one run, one after another.
pub(crate) struct DataSetOpener<'a> {
    env: RunEnv<'a>,
    run: RunId,
    /// The backends of the run that have a statement in flight.
    in_flight: InFlight,
    /// The target schemas that are locked already.
    locked: HashSet<String>,
}

impl<'a> DataSetOpener<'a> {
    /// The opener of a new run.
    pub(crate) fn new(env: RunEnv<'a>) -> Self {
        let (run, in_flight) = (RunId::new(), InFlight::default());
        Self { env, run, in_flight, locked: HashSet::new() }
    }

    /// Opens both databases. Errors: either database cannot be opened, or another run holds the
    /// target schema.
    pub(crate) fn open(&mut self, data_set: &DataSet) -> Result<OpenDataSet> {
        let (Location::Sqlite(file), Location::Postgres(target)) =
            (&data_set.source, &data_set.target)
        else {
            return Err(Error::refused("all data sets of a run must have the same direction"));
        };
        let connection = parse_connection(target, data_set)?;
        let RunEnv { options, canceller, control: run_control, .. } = self.env;
        let mut source = Some(open_source(file, options)?);
        let Session { client: mut control, schema, backend, .. } = self.connect(&connection)?;
        let schema = options.plan.schema.clone().or(schema).ok_or_else(|| self.no_schema())?;
        let sessions = SessionFactory::new(&connection, &schema, &self.run, &self.in_flight);
        let lock = if self.locked.insert(schema_id(&mut control, &schema)?) {
            // Two runs may start at once. The one that waits must not have the source open: the
            // other one would take it for a process that uses the database.
            let mut close_source = || source.take().map_or(Ok(None), Source::close).map(drop);
            let waiting = (canceller.scope(), &mut close_source as _);
            let alarm =
                StallAlarm { flag: Arc::clone(&run_control.is_stalled), after: options.retry_for };
            RunLock::take(&mut control, &schema, sessions, waiting, alarm)?
        } else {
            RunLock::share(&mut control, sessions)?
        };
        let source = source.map_or_else(|| open_source(file, options), Ok)?;
        cancel_reads(canceller, &source);
        cancel_statements(canceller, &connection, lock.key());
        let data_set = data_set.name.clone();
        Ok(OpenDataSet { data_set, source, lock, control, backend, schema })
    }

    fn connect(&self, connection: &Connection) -> Result<Session> {
        let purpose = purpose_of("control", &self.run);
        match connect(connection, &purpose) {
            Err(_) if self.env.options.create_database && create_database(connection)? => {
                connect(connection, &purpose)
            }
            // A comparison creates nothing.
            Err(error)
                if error.is_missing_database()
                    && !matches!(self.env.options.verify, Verify::Only(_)) =>
            {
                Err(error.remedy("create it and migrate", &["--create-database"]))
            }
            session => session,
        }
    }

    fn no_schema(&self) -> Error {
        Error::refused("the target's search path names no existing schema").hint(
            match self.env.options.verify {
                Verify::Only(_) => "name the schema with options=-csearch_path=NAME",
                _ => "create the schema, or name another one with options=-csearch_path=NAME",
            },
        )
    }
}

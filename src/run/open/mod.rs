//! Opening: both databases of a data set on the way into PostgreSQL, the source fenced and the
//! target's schema claimed.

pub(crate) mod to_sqlite;

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::control::progress::Progress;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::{DataSet, Location, Options, Verify};
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::connect::backend::Backend;
use crate::postgres::connect::{Session, connect, create_database};
use crate::postgres::lease::heartbeat::StallAlarm;
use crate::postgres::lease::run_lock::{RunId, RunLock, purpose_of};
use crate::sqlite::source::open::{Source, SourceOptions};
use postgres::Client;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

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
    /// Where it is told that a server does not answer.
    pub(crate) progress: &'a Arc<Progress>,
    /// The run.
    pub(crate) run: RunId,
    /// The places that are claimed already.
    claimed: HashSet<String>,
}

impl<'a> DataSetOpener<'a> {
    /// For one run.
    pub(crate) fn new(
        options: &'a Options,
        canceller: &'a StatementCanceller,
        progress: &'a Arc<Progress>,
    ) -> Self {
        Self { options, canceller, progress, run: RunId::new(), claimed: HashSet::new() }
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
        let run = &self.run;
        let claim = if self.claimed.insert(schema_id(&mut keeper, &schema)?) {
            // Of two runs that were started at once the one that waits must not have the source
            // open, which would be a sign to the other one that somebody uses it.
            let mut step_back = || source.take().map_or(Ok(None), Source::close).map(drop);
            let contest = (self.canceller.stop(), &mut step_back as _);
            let (progress, after) = (Arc::clone(self.progress), self.options.retry_for);
            let alarm = StallAlarm { progress, after };
            RunLock::take(&mut keeper, &connection, &schema, run, contest, alarm)?
        } else {
            RunLock::share(&mut keeper, &connection, &schema, run)?
        };
        let source = source.map_or_else(|| open_source(file, self.options), Ok)?;
        self.canceller.add_source(&source);
        self.canceller.add_server(&connection, claim.key());
        let data_set = data_set.name.clone();
        Ok(OpenDataSet { data_set, source, claim, keeper, backend, schema })
    }

    fn connect(&self, connection: &Connection) -> Result<Session> {
        let purpose = purpose_of("keeper", &self.run);
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

/// Opens a SQLite database to be read.
pub(crate) fn open_source(file: &Path, options: &Options) -> Result<Source> {
    let defaults = SourceOptions::default();
    Source::open(file, &SourceOptions { temp_dir: options.temp_dir.clone(), ..defaults })
}

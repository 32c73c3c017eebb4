//! The sessions that read a PostgreSQL source.

use crate::config::connection::Connection;
use crate::error::Result;
use crate::postgres::connect::connect;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::errors::db_error;
use crate::postgres::lease::advisory_lock;

/// The keys of the advisory locks that all sessions of a data set share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locks {
    /// The lock of the schema. A run that loads the schema holds it exclusively.
    pub(crate) schema: i64,
    /// The lock of this run. At a stop request the statements of its holders are cancelled.
    pub(crate) own: i64,
}

impl Locks {
    /// The locks of a new run that reads `schema`.
    pub(crate) fn new(schema: &str) -> Self {
        Self { schema: advisory_lock::key(schema), own: fastrand::i64(..) }
    }
}

/// Opens a reader of the run's snapshot.
pub(crate) fn open_reader(
    connection: &Connection,
    purpose: &str,
    locks: Locks,
    import_snapshot: &str,
) -> Result<TupleReader> {
    let mut reader = open_session(connection, purpose, locks)?;
    let what = "cannot import the snapshot of the source";
    // A reader that reconnects continues in the middle of a query. The query must give the same
    // order again.
    let same_order = "SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off";
    reader
        .simple_query(same_order)
        .and_then(|_| reader.simple_query(import_snapshot))
        .map_err(db_error(what))?;
    Ok(reader)
}

/// Opens a session that holds the locks of the run.
pub(crate) fn open_session(
    connection: &Connection,
    purpose: &str,
    locks: Locks,
) -> Result<TupleReader> {
    let mut reader: TupleReader = connect(connection, purpose)?.client;
    let lock = advisory_lock::hold(&[locks.schema, locks.own]);
    reader.simple_query(&lock).map_err(db_error("cannot lock the source"))?;
    Ok(reader)
}

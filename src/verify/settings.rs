//! The settings of a verification, and how it opens readers.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::control::sizing::Resources;
use crate::error::Result;
use crate::options::run_options::{Depth, RunOptions};
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::copy_out::TupleReader;
use crate::postgres::lease::run_lock::RunLock;
use crate::sqlite::source::connection::SourceConnection;
use crate::verify::roles::SourceSide;

/// Opens readers. All readers of one database see the same rows.
pub(crate) struct Readers<'a> {
    pub(crate) sqlite: &'a (dyn Fn() -> Result<SourceConnection> + Sync),
    /// Opens one more reader of PostgreSQL, after ending the session that was lost, if any.
    pub(crate) postgres: &'a (dyn Fn(Option<Backend>) -> Result<(TupleReader, Backend)> + Sync),
    /// The run's list of statements in flight on PostgreSQL.
    pub(crate) in_flight: &'a InFlight,
}

impl Readers<'_> {
    /// Opens a reader of PostgreSQL under the run's lock.
    pub(crate) fn session(lock: &RunLock, lost: Option<Backend>) -> Result<(TupleReader, Backend)> {
        let session = lock.session("verify", lost)?;
        Ok((session.client, session.backend))
    }
}

pub(crate) struct VerifySettings<'a> {
    /// Compare values, or count rows only.
    pub(crate) depth: Depth,
    pub(crate) source: SourceSide,
    pub(crate) options: &'a RunOptions,
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    pub(crate) progress: &'a PhaseProgress,
    pub(crate) cancel: &'a CancelScope,
    /// The ledger (qualified) and the data set in it, if there is one. Rows written after its last
    /// entry were not written by this program.
    pub(crate) ledger: Option<(String, String)>,
}

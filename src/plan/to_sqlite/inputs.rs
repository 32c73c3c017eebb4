//! What a plan is made from.

use crate::control::progress::Progress;
use crate::control::sizing::Resources;
use crate::error::Result;
use crate::options::Options;
use crate::postgres::copy_out::TupleReader;
use serde_json::Value;
use std::sync::atomic::AtomicBool;

/// What the plan of one data set is made from, in addition to the catalog.
pub(crate) struct PlanInputs<'a> {
    /// The name of the data set.
    pub(crate) data_set: &'a str,
    /// The schema of the source.
    pub(crate) schema: &'a str,
    /// The file of the target.
    pub(crate) target: &'a str,
    /// The user's options.
    pub(crate) options: &'a Options,
    /// Threads and sizes.
    pub(crate) resources: &'a Resources,
    /// The progress counters.
    pub(crate) progress: &'a Progress,
    /// Set from outside to stop early.
    pub(crate) stop: &'a AtomicBool,
    /// Opens one more session in the snapshot.
    pub(crate) connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// The tables that the target file holds.
    pub(crate) existing: &'a [String],
    /// The types that an earlier run from SQLite chose, by table and column.
    pub(crate) types: &'a Value,
}

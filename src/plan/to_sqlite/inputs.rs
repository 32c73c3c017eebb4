//! What a plan is made from.

use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::error::Result;
use crate::options::plan_options::PlanOptions;
use crate::options::run_options::Replace;
use crate::postgres::copy_out::TupleReader;
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::write::target_file::ExistingObject;
use serde_json::Value;

/// What the plan of one data set is made from, in addition to the catalog.
pub(crate) struct PlanInputs<'a> {
    pub(crate) data_set: &'a str,
    /// The run has no other data set.
    pub(crate) is_only: bool,
    /// The schema of the source.
    pub(crate) schema: &'a str,
    /// The file of the target.
    pub(crate) target: &'a str,
    pub(crate) options: &'a PlanOptions,
    /// Threads and sizes.
    pub(crate) resources: &'a Resources,
    pub(crate) control: &'a RunControl,
    /// Opens one more session in the snapshot.
    pub(crate) connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// The tables and views that the target file holds.
    pub(crate) existing: &'a [ExistingObject],
    /// The properties of the file that is replaced.
    pub(crate) replaced: &'a FileProperties,
    /// Which of them the run replaces.
    pub(crate) replace: Replace,
    /// The types that an earlier run from SQLite chose, by table and column.
    pub(crate) types: &'a Value,
}

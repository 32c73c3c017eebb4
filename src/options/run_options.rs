//! The options of a run.

use crate::control::deadline::Deadline;
use crate::control::sizing::ResourceLimits;
use crate::error::Error;
use crate::options::location::DataSet;
use crate::options::plan_options::PlanOptions;
use crate::options::service::ServiceCheck;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a run is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunOptions {
    /// The pairs of source and target, at least one.
    pub(crate) data_sets: Vec<DataSet>,
    /// The options that shape the plan.
    pub(crate) plan: PlanOptions,
    /// What is dropped first.
    pub(crate) replace: Replace,
    /// Remove a replaced SQLite file after a good verdict.
    pub(crate) no_keep: bool,
    /// Drop what an earlier run created, and start from scratch.
    pub(crate) restart: bool,
    /// Remove the ledger after a good verdict.
    pub(crate) drop_ledger: bool,
    /// How long a lost connection is retried; zero means not at all.
    pub(crate) retry_for: Duration,
    /// Create the target database if it is missing.
    pub(crate) create_database: bool,
    /// Threads, connections, memory and rate, as far as the user has set them.
    pub(crate) limits: ResourceLimits,
    /// The folder of private copies and spilled data; `None` means the system's temporary folder.
    pub(crate) temp_dir: Option<PathBuf>,
    /// What is verified, and when.
    pub(crate) verify: Verify,
    /// The maximum of differences reported for each table.
    pub(crate) max_differences: u32,
    /// Report differences with the values.
    pub(crate) show_values: bool,
    /// How the run checks that nothing else uses its databases.
    pub(crate) service_check: ServiceCheck,
    /// The folder that receives a copy of the SQLite files before anything is written.
    pub(crate) backup: Option<PathBuf>,
    /// The moment by which the run must have ended.
    pub(crate) deadline: Option<Deadline>,
    /// Start even if the run will probably not end by the deadline.
    pub(crate) allow_late: bool,
    /// Warnings about the options.
    pub(crate) warnings: Vec<String>,
}

impl RunOptions {
    /// The default options of a run of `data_sets`.
    pub(crate) fn new(data_sets: Vec<DataSet>) -> Self {
        Self { data_sets, ..Self::default() }
    }

    /// `error` with the name of its data set, if there are several.
    pub(crate) fn in_data_set(&self, name: &str, error: Error) -> Error {
        if self.data_sets.len() > 1 { error.in_data_set(name) } else { error }
    }
}

/// Which existing objects of the target the run replaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Replace {
    #[default]
    Nothing,
    /// `--clean`: the tables and views that the run creates again.
    Planned,
    /// `--drop-all`: everything in the schema, or the whole file.
    Everything,
}

/// What is verified, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Everything that was copied, after the copy.
    AfterCopy(Depth),
    /// Two existing databases; nothing is written.
    Only(Depth),
    /// Nothing: the verdict stays "not verified".
    No,
}

impl Default for Verify {
    fn default() -> Self {
        Self::AfterCopy(Depth::Full)
    }
}

/// The depth of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Row counts.
    Rows,
    /// Every value.
    Full,
}

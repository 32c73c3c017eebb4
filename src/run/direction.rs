//! The steps that differ between the two directions.

use crate::control::deadline::Deadline;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::report::{DataSetPlan, DataSetReport, TimeLimit};
use crate::run::env::RunEnv;
use crate::run::service_check::CheckTime;
use std::path::{Path, PathBuf};

/// The opened and planned data sets of one direction. A run calls the methods in this order.
pub(crate) trait Direction: Send {
    /// The displayed names of the sources and of the targets.
    fn names(&self) -> (String, String);

    fn summary(&self) -> Vec<DataSetPlan>;

    /// Warnings about an empty source, and about content that will not be migrated although the user
    /// did not exclude it. No rows are skipped towards SQLite, and the plan lists the other omissions.
    fn warnings(&self) -> Vec<String>;

    /// Checks that the service does not use the databases. Returns warnings.
    fn check_service(&mut self, env: &RunEnv<'_>, time: CheckTime) -> Result<Vec<String>>;

    /// Estimates the time of the run. Refused if the run would end after the deadline.
    fn limit(&mut self, deadline: &Deadline, env: &RunEnv<'_>) -> Result<TimeLimit>;

    /// Compares the data sets that are not loaded.
    fn compare(&mut self, env: &RunEnv<'_>, reports: &mut Vec<DataSetReport>) -> Result<()>;

    /// The number of rows of each data set to load.
    fn pending_rows(&self) -> Vec<u64>;

    /// Backs up the SQLite files to `folder`, and returns the copies.
    fn back_up(&self, folder: &Path, env: &RunEnv<'_>) -> Result<Vec<PathBuf>>;

    /// Drops the existing objects of all targets, before any of them is loaded. Old SQLite files
    /// are replaced at the end, by a rename.
    fn drop_existing(&mut self, _: &RunEnv<'_>) -> Result<()> {
        Ok(())
    }

    /// Copies, finishes and verifies one data set. The report describes a failed load, too.
    fn load(&mut self, index: usize, env: &RunEnv<'_>) -> (DataSetReport, Result<()>);

    /// Makes all loaded data sets final. `reports` are their reports.
    fn commit_all(&mut self, env: &RunEnv<'_>, reports: &mut [DataSetReport]) -> Result<()>;

    /// Maps the error that ended the run. An error that a stop request caused becomes a pause.
    fn map_stop_error(&mut self, canceller: &StatementCanceller, error: Error) -> Error;

    /// Closes both sides. Returns warnings.
    fn close(self: Box<Self>) -> Vec<String> {
        Vec::new()
    }
}

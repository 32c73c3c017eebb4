//! The story: plan, copy, finish, verify, report.

pub mod options;
pub mod report;

use crate::error::{Error, Result};
use crate::progress::Progress;
use options::Options;
use report::{Outcome, PlanSummary};
use std::convert::Infallible;
use std::sync::Arc;

/// A run that is planned and waits for the word to begin; nothing has been written yet.
pub trait Planned {
    /// What it will do.
    fn summary(&self) -> PlanSummary;

    /// Does it.
    fn run(self, progress: &Arc<Progress>) -> Outcome;
}

/// Opens and fences the source, profiles it, and plans the run.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub fn prepare(_options: &Options, _progress: &Arc<Progress>) -> Result<Infallible> {
    Err(Error::failed("this build has no pipeline"))
}

impl Planned for Infallible {
    fn summary(&self) -> PlanSummary {
        match *self {}
    }

    fn run(self, _progress: &Arc<Progress>) -> Outcome {
        match self {}
    }
}

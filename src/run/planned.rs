//! A planned run, whichever direction it takes.

use crate::control::run_control::RunControl;
use crate::report::{Outcome, PlanSummary};

/// A run that is planned and waits for the word to begin; nothing has been written yet.
pub(crate) trait Planned {
    /// What it will do.
    fn summary(&self) -> PlanSummary;

    /// Does it.
    fn run(self, control: &RunControl) -> Outcome;
}

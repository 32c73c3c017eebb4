//! A planned run, whichever direction it takes.

use crate::control::progress::Progress;
use crate::report::{Outcome, PlanSummary};
use std::sync::Arc;

/// A run that is planned and waits for the word to begin; nothing has been written yet.
pub(crate) trait Planned {
    /// What it will do.
    fn summary(&self) -> PlanSummary;

    /// Does it.
    fn run(self, progress: &Arc<Progress>) -> Outcome;
}

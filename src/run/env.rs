//! What all data sets of a run share.

use crate::control::progress::{Phase, Progress};
use crate::control::retry::RetryPolicy;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::options::run_options::RunOptions;
use std::sync::Arc;

/// What all data sets of a run share.
#[derive(Clone, Copy)]
pub(crate) struct RunEnv<'a> {
    /// The options.
    pub(crate) options: &'a RunOptions,
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    /// The progress counters.
    pub(crate) progress: &'a Arc<Progress>,
    /// The canceller of running statements.
    pub(crate) canceller: &'a StatementCanceller,
    /// Whether the run was asked to stop.
    pub(crate) is_halted: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> RunEnv<'a> {
    /// The retry policy of lost connections in `phase`.
    pub(crate) fn retry_policy(&self, phase: Phase) -> RetryPolicy<'a> {
        let (limit, is_halted) = (self.options.retry_for, self.is_halted);
        RetryPolicy { limit, is_halted, progress: self.progress.phase(phase) }
    }
}

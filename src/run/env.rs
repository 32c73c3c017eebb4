//! What all data sets of a run share.

use crate::control::cancel::CancelScope;
use crate::control::progress::Phase;
use crate::control::retry::RetryPolicy;
use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::copy::settings::CopySettings;
use crate::options::run_options::{Depth, RunOptions};
use crate::verify::roles::SourceSide;
use crate::verify::settings::VerifySettings;

/// What all data sets of a run share.
#[derive(Clone, Copy)]
pub(crate) struct RunEnv<'a> {
    pub(crate) options: &'a RunOptions,
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    /// The cancellation, the progress counters and the stall flag.
    pub(crate) control: &'a RunControl,
    /// Cancels running statements at a stop request.
    pub(crate) canceller: &'a StatementCanceller,
}

impl<'a> RunEnv<'a> {
    /// The settings of a copy that `cancel` ends.
    pub(crate) fn copy_settings(
        &self,
        resources: &'a Resources,
        cancel: &'a CancelScope,
    ) -> CopySettings<'a> {
        CopySettings {
            resources,
            max_rate: self.options.limits.max_rate,
            retry_for: self.options.retry_for,
            progress: self.control.progress.phase(Phase::Copy),
            cancel,
        }
    }

    /// The settings of a verification. `ledger` is the qualified ledger, and the data set in it.
    pub(crate) fn verify_settings(
        &self,
        depth: Depth,
        source: SourceSide,
        ledger: Option<(String, String)>,
    ) -> VerifySettings<'a> {
        let Self { options, resources, control: RunControl { cancel, progress, .. }, .. } = *self;
        let progress = progress.phase(Phase::Verify);
        VerifySettings { depth, source, options, resources, progress, cancel, ledger }
    }

    /// The retry policy of lost connections in `phase`.
    pub(crate) fn retry_policy(&self, phase: Phase) -> RetryPolicy<'a> {
        let RunControl { cancel, progress, .. } = self.control;
        RetryPolicy { limit: self.options.retry_for, cancel, progress: progress.phase(phase) }
    }
}

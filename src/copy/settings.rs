//! The settings that both directions of the copy share.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::control::retry::RetryPolicy;
use crate::control::sizing::Resources;
use std::time::Duration;

#[derive(Clone, Copy)]
pub(crate) struct CopySettings<'a> {
    pub(crate) resources: &'a Resources,
    /// Bytes that may be written per second; `None` means no limit.
    pub(crate) max_rate: Option<u64>,
    /// How long a lost connection is retried.
    pub(crate) retry_for: Duration,
    pub(crate) progress: &'a PhaseProgress,
    pub(crate) cancel: &'a CancelScope,
}

impl<'a> CopySettings<'a> {
    /// The retry policy of a connection that works for `cancel`.
    pub(crate) fn retry_policy(&self, cancel: &'a CancelScope) -> RetryPolicy<'a> {
        RetryPolicy { limit: self.retry_for, cancel, progress: self.progress }
    }
}

//! The settings that both directions of the copy share.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::control::retry::RetryPolicy;
use crate::control::sizing::Resources;
use std::time::Duration;

/// How a data set is copied.
#[derive(Clone, Copy)]
pub(crate) struct CopySettings<'a> {
    /// Threads and memory.
    pub(crate) resources: &'a Resources,
    /// Bytes that may be written per second; `None` means no limit.
    pub(crate) max_rate: Option<u64>,
    /// How long a lost connection is retried.
    pub(crate) retry_for: Duration,
    /// Where rows are counted.
    pub(crate) progress: &'a PhaseProgress,
    /// Ends the copy early.
    pub(crate) cancel: &'a CancelScope,
}

impl<'a> CopySettings<'a> {
    /// The retry policy of a connection that works for `cancel`.
    pub(crate) fn retry_policy(&self, cancel: &'a CancelScope) -> RetryPolicy<'a> {
        RetryPolicy { limit: self.retry_for, cancel, progress: self.progress }
    }
}

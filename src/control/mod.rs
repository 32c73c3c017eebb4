//! The control of a run below the databases: cancellation, retries, signals, deadlines, progress counters, memory.

pub(crate) mod cancel;
pub(crate) mod deadline;
pub(crate) mod disk_space;
pub(crate) mod memory_budget;
pub(crate) mod progress;
pub(crate) mod retry;
pub(crate) mod signals;
pub(crate) mod sizing;
pub(crate) mod statement_cancel;

use std::time::Duration;

/// How often a wait checks whether it should end. Long enough to cost nothing, short enough that a
/// stop is felt at once.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);

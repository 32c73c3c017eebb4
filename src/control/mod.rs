//! The control of a run, without any database: cancellation, retries, signals, deadlines, progress
//! counters, memory.

pub(crate) mod cancel;
pub(crate) mod deadline;
pub(crate) mod disk_space;
pub(crate) mod memory_budget;
pub(crate) mod progress;
pub(crate) mod retry;
pub(crate) mod run_control;
pub(crate) mod signals;
pub(crate) mod sizing;
pub(crate) mod statement_cancel;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks `mutex`. No thread panics between two changes that belong together, so that the value can
/// be used even if one has panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time between two checks of a wait whether it should end: long enough to cost nothing, short
/// enough that a stop takes effect at once.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);

//! Signals: Ctrl-C and SIGTERM cancel the run.
//!
//! The first signal asks the run to end: rows in flight are committed where that makes sense, and
//! temporary files next to the source are removed. A second signal ends the program at once.

use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code that a shell expects of a program that Ctrl-C ended.
const ABORTED: i32 = 130;

/// Cancels `scope` at the first signal. A deadline may have cancelled it before: the next signal is
/// still the first one.
pub(crate) fn cancel_on_signals(scope: &CancelScope) -> Result<()> {
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: only the second signal finds the flag set and ends the program.
        flag::register_conditional_shutdown(signal, ABORTED, Arc::clone(&signalled))
            .and_then(|_| flag::register(signal, Arc::clone(&signalled)))
            .and_then(|_| flag::register(signal, scope.flag()))
            .map_err(|error| Error::failed("cannot listen for signals").caused_by(error))?;
    }
    Ok(())
}

//! Stopping on the user's wish: Ctrl-C and SIGTERM.
//!
//! The first signal asks the run to end: what is in flight is committed where that makes sense,
//! threads leave at their next look, and what lies beside the source because of us is removed. A
//! second one ends the program at once.

use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a shell expects of a program that Ctrl-C ended.
const ABORTED: i32 = 130;

/// A flag that the first signal sets. Others may set it, too (a deadline): a signal that comes
/// after that is still the first one.
pub(crate) fn on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set, and only then ends the program.
        flag::register_conditional_shutdown(signal, ABORTED, Arc::clone(&signalled))
            .and_then(|_| flag::register(signal, Arc::clone(&signalled)))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Error::failed("cannot listen for signals").caused_by(error))?;
    }
    Ok(stop)
}

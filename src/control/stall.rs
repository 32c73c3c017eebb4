//! The stall flag: a server that answers on no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says that a server does not answer, so that a run may wait forever. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct StallFlag(Arc<AtomicBool>);

impl StallFlag {
    /// Sets the flag.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

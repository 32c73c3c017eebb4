//! The controls that a run shares with the code that started it.

use crate::control::cancel::CancelScope;
use crate::control::progress::Progress;
use crate::control::signals::cancel_on_signals;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The controls of one run. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunControl {
    pub(crate) cancel: CancelScope,
    /// Set by the run when its server answers on no connection, so that the run may wait forever.
    pub(crate) is_stalled: Arc<AtomicBool>,
    /// What the run shows of itself.
    pub(crate) progress: Arc<Progress>,
}

impl RunControl {
    /// The controls of a run that Ctrl-C and SIGTERM stop.
    pub(crate) fn with_signals() -> Result<Self> {
        let control = Self::default();
        cancel_on_signals(&control.cancel)?;
        Ok(control)
    }

    /// The controls of a run within this one: with its own counters, and stopped together.
    pub(crate) fn for_part(&self) -> Self {
        Self { progress: Arc::default(), ..self.clone() }
    }
}

//! The interrupter of a source: ends the statements of all its connections from another thread.

use rusqlite::InterruptHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The interrupt handles of a source's connections. It does not keep the source open, and the
/// handle of a closed connection does nothing.
#[derive(Clone, Default)]
pub struct Interrupter(Arc<Mutex<Vec<InterruptHandle>>>);

impl Interrupter {
    fn lock(&self) -> MutexGuard<'_, Vec<InterruptHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection.
    pub(crate) fn add(&self, handle: InterruptHandle) {
        self.lock().push(handle);
    }

    /// Ends the statements that run now, with an error.
    pub fn interrupt(&self) {
        self.lock().iter().for_each(InterruptHandle::interrupt);
    }
}

//! The interrupter of a source: ends the statements of all its connections from another thread.

use crate::control::lock;
use rusqlite::InterruptHandle;
use std::sync::{Arc, Mutex};

/// The interrupt handles of a source's connections. It does not keep the source open, and the
/// handle of a closed connection does nothing.
#[derive(Clone, Default)]
pub struct Interrupter(Arc<Mutex<Vec<InterruptHandle>>>);

impl Interrupter {
    /// Adds a connection.
    pub(crate) fn add(&self, handle: InterruptHandle) {
        lock(&self.0).push(handle);
    }

    /// Ends the statements that run now, with an error.
    pub fn interrupt(&self) {
        lock(&self.0).iter().for_each(InterruptHandle::interrupt);
    }
}

//! Halting: the first error stops all threads of a run; a panic becomes an error.

use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether a run goes on, and the error that ended it.
#[derive(Debug)]
pub(crate) struct CancelScope<'a> {
    /// Set by the user's wish to stop.
    outside: &'a AtomicBool,
    /// What is under way when that comes is done first.
    drains: bool,
    inside: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl<'a> CancelScope<'a> {
    /// Goes on until `outside` is set or an error comes.
    pub(crate) fn new(outside: &'a AtomicBool) -> Self {
        Self { outside, drains: false, inside: AtomicBool::new(false), error: Mutex::new(None) }
    }

    /// Goes on until an error comes; once `outside` is set, only with what is under way.
    pub(crate) fn new_draining(outside: &'a AtomicBool) -> Self {
        Self { drains: true, ..Self::new(outside) }
    }

    /// Threads should end.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        let outside = !self.drains && self.outside.load(Ordering::Relaxed);
        outside || self.inside.load(Ordering::Relaxed)
    }

    /// Nothing new should be begun.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.inside.load(Ordering::Relaxed) || self.outside.load(Ordering::Relaxed)
    }

    /// Stops the run; the first error is the one that is told.
    pub(crate) fn fail(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.inside.store(true, Ordering::Relaxed);
    }

    /// Runs one thread's work: its error, or its panic, stops the run.
    pub(crate) fn run_thread(&self, what: &str, work: impl FnOnce() -> Result<()>) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(
                Error::failed(format!("internal error: {what} panicked"))
                    .hint("please report this, with the lines above"),
            ),
        }
    }

    /// How it ended.
    ///
    /// # Errors
    /// The first error; or that the user stopped the run.
    pub(crate) fn end(self) -> Result<()> {
        if let Some(error) = self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        if self.outside.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        Ok(())
    }
}

//! Cancellation: one handle that says whether work should end.
//!
//! The run has one scope, which a signal or the deadline cancels. Each stage opens a child scope for
//! its threads: the first error, or a panic, cancels the child and is the stage's result.

use crate::control::{POLL_INTERVAL, lock};
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A handle to a scope of work. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelScope(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    parent: Option<CancelScope>,
    /// Work in flight is completed after the parent was cancelled.
    drains: bool,
    cancelled: Arc<AtomicBool>,
    error: Mutex<Option<Error>>,
}

impl CancelScope {
    /// A scope within this one.
    pub(crate) fn child(&self) -> Self {
        self.open_child(false)
    }

    /// A scope within this one that completes what is in flight: after this one is cancelled, only
    /// [`Self::is_stopping`] is true.
    pub(crate) fn draining_child(&self) -> Self {
        self.open_child(true)
    }

    fn open_child(&self, drains: bool) -> Self {
        Self(Arc::new(Shared { parent: Some(self.clone()), drains, ..Shared::default() }))
    }

    /// The flag behind [`Self::cancel`], for signal handlers.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.cancelled)
    }

    /// Whether threads should end now.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        let Shared { parent, drains, cancelled, .. } = &*self.0;
        cancelled.load(Ordering::Relaxed)
            || !drains && parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Whether nothing new should be started.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        let Shared { parent, cancelled, .. } = &*self.0;
        cancelled.load(Ordering::Relaxed) || parent.as_ref().is_some_and(Self::is_stopping)
    }

    /// Fails with an interruption where threads should end now.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// Cancels the scope. Returns whether it was not cancelled before.
    pub fn cancel(&self) -> bool {
        !self.0.cancelled.swap(true, Ordering::Relaxed)
    }

    /// Cancels the scope because of `error`. The first error is kept.
    pub(crate) fn fail(&self, error: Error) {
        lock(&self.0.error).get_or_insert(error);
        self.cancel();
    }

    /// Sleeps for `duration`. Returns false early where nothing new should be started.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let end = Instant::now().checked_add(duration);
        loop {
            if self.is_stopping() {
                return false;
            }
            let left =
                end.map_or(POLL_INTERVAL, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    /// Runs the work of one thread. Its error, or its panic, cancels the scope.
    pub(crate) fn run_thread(&self, name: &str, work: impl FnOnce() -> Result<()>) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(
                Error::failed(format!("internal error: {name} panicked"))
                    .hint("report this as a bug, with the lines above"),
            ),
        }
    }

    /// Runs `work` on `threads` threads and waits for all of them.
    pub(crate) fn run_threads(
        self,
        threads: usize,
        name: &str,
        work: impl Fn() -> Result<()> + Sync,
    ) -> Result<()> {
        self.run_each(0..threads, name, |_| work())
    }

    /// Runs `work` on one thread for each of `states` and waits for all of them.
    pub(crate) fn run_each<T: Send>(
        self,
        states: impl IntoIterator<Item = T>,
        name: &str,
        work: impl Fn(T) -> Result<()> + Sync,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            for state in states {
                let (own, work) = (&self, &work);
                scope.spawn(move || own.run_thread(name, || work(state)));
            }
        });
        self.end()
    }

    /// The result of the scope: its first error, or an interruption where a parent was cancelled.
    pub(crate) fn end(self) -> Result<()> {
        let error = lock(&self.0.error).take();
        match (error, self.is_stopping()) {
            (Some(error), _) => Err(error),
            (None, true) => Err(Error::interrupted()),
            (None, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_cancelled_with_its_parent_and_not_the_other_way_round() {
        let run = CancelScope::default();
        let (copy, draining) = (run.child(), run.draining_child());
        let writers = draining.child();
        copy.fail(Error::failed("the disk is full"));
        copy.fail(Error::interrupted());
        assert!(copy.is_cancelled() && !run.is_stopping() && !draining.is_stopping());
        assert_eq!(copy.end().unwrap_err().message(), "the disk is full");
        assert!(run.cancel() && !run.cancel());
        assert!(draining.is_stopping() && writers.is_stopping());
        assert!(!draining.is_cancelled() && !writers.is_cancelled());
        assert!(run.child().check().unwrap_err().is_interrupted());
        assert!(draining.end().unwrap_err().is_interrupted());
    }

    #[test]
    fn a_panic_of_one_thread_ends_all_and_is_the_error() {
        let scope = CancelScope::default();
        let (work, inner) = (Mutex::new(vec![true, false]), scope.clone());
        let result = scope.run_threads(2, "a reader", || {
            let panics = work.lock().unwrap().pop().unwrap();
            assert!(!panics, "as a thread may");
            while !inner.is_cancelled() {
                std::thread::yield_now();
            }
            inner.check()
        });
        assert_eq!(result.unwrap_err().message(), "internal error: a reader panicked");
    }

    #[test]
    fn a_sleep_ends_early_when_the_scope_is_cancelled() {
        let scope = CancelScope::default();
        assert!(scope.sleep(Duration::from_millis(1)));
        std::thread::scope(|threads| {
            let sleeping = threads.spawn(|| scope.sleep(Duration::MAX));
            scope.cancel();
            assert!(!sleeping.join().unwrap());
        });
    }
}

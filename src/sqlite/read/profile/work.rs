//! The work of the profile: parts of tables that wait for a thread.
//!
//! Whenever a thread is idle, a running scan gives away half of its remaining key range. So neither
//! one large table nor sparse keys keep the other threads idle.

use crate::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A part of the scan: a table, or a part of its key range if it has an integer key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The index of the table.
    pub(crate) table: usize,
    pub(crate) keys: Option<(i64, i64)>,
}

/// The parts that wait, and the number of parts being scanned.
pub(crate) struct Work {
    state: Mutex<(Vec<Part>, usize)>,
    changed: Condvar,
    idle: AtomicUsize,
    over: AtomicBool,
    /// The first error of a thread.
    pub(crate) error: Mutex<Option<Error>>,
}

impl Work {
    pub(crate) fn new(tables: usize) -> Self {
        let parts = (0..tables).rev().map(|table| Part { table, keys: None }).collect();
        Self {
            state: Mutex::new((parts, 0)),
            changed: Condvar::new(),
            idle: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// The next part. Waits while a running scan may give one away.
    pub(crate) fn take(&self) -> Option<Part> {
        let mut state = lock(&self.state);
        loop {
            if self.over.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(part) = state.0.pop() {
                state.1 += 1;
                return Some(part);
            }
            if state.1 == 0 {
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Adds a part for an idle thread.
    pub(crate) fn give(&self, part: Part) {
        lock(&self.state).0.push(part);
        self.changed.notify_one();
    }

    /// Ends a part.
    pub(crate) fn done(&self) {
        lock(&self.state).1 -= 1;
        self.changed.notify_all();
    }

    /// Whether a thread waits for a part.
    pub(crate) fn has_idle_thread(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0
    }

    /// Whether a thread has ended: by an error, or because no work is left.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Ends the wait of the other threads when a thread ends, also by an error or a panic. A thread
/// that found no more work ends too; then there is none for the others either.
pub(crate) struct EndOnDrop<'a>(pub(crate) &'a Work);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        let _state = lock(&self.0.state);
        self.0.over.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The work of the profile: parts of tables that wait for a thread.
//!
//! Whenever a thread is idle, a running scan gives away half of its remaining key range. So neither
//! one large table nor sparse keys keep the other threads idle.

use crate::control::cancel::CancelScope;
use crate::control::{POLL_INTERVAL, lock};
use crate::sqlite::read::profile::table::TableProfileSpec;
use crate::sqlite::read::profile::unique::IndexPart;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// A part of the scan.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Rows(RowsPart),
    /// A part of the work on a unique index: the index of its table, and its own.
    Index(usize, usize, IndexPart),
}

/// The rows of a table, or of a part of its key range if it has an integer key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsPart {
    /// The index of the table.
    pub(crate) table: usize,
    pub(crate) keys: Option<(i64, i64)>,
    /// The largest key of the table. The end of the last part is open, and only parts that end at a
    /// real key can be halved evenly.
    pub(crate) max_key: i64,
}

/// The parts that wait, and the number of parts being scanned.
pub(crate) struct Work {
    state: Mutex<(Vec<Part>, usize)>,
    changed: Condvar,
    idle: AtomicUsize,
}

impl Work {
    /// All work on tables with these specs. Indexes come first: if SQLite must read one, nothing of it
    /// can be given away.
    pub(crate) fn new(specs: &[TableProfileSpec]) -> Self {
        let rows = |table| Part::Rows(RowsPart { table, keys: None, max_key: i64::MAX });
        let mut parts: Vec<Part> = (0..specs.len()).rev().map(rows).collect();
        for (table, spec) in specs.iter().enumerate().rev() {
            for (number, index) in spec.unique.iter().enumerate() {
                let keys = index.needs_query().then_some(IndexPart::Keys);
                let work = keys.into_iter().chain([IndexPart::Whole]);
                parts.extend(work.map(|part| Part::Index(table, number, part)));
            }
        }
        Self { state: Mutex::new((parts, 0)), changed: Condvar::new(), idle: AtomicUsize::new(0) }
    }

    /// The next part. Waits while a running scan may give one away. `None` if no work is left, or
    /// `cancel` is cancelled.
    pub(crate) fn take(&self, cancel: &CancelScope) -> Option<Part> {
        let mut state = lock(&self.state);
        loop {
            if cancel.is_cancelled() {
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
            let waited = self.changed.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Adds a part for another thread.
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
}

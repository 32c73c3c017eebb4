//! The statistics of one data set's copy: for the report, and for the decision whether the deadline
//! can still be met.

use crate::control::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct CopyStats {
    started: Instant,
    is_copying: AtomicBool,
    tables: Vec<TableStats>,
}

#[derive(Debug, Default)]
pub(crate) struct TableStats {
    /// Rows committed, by earlier runs too.
    pub(crate) rows: AtomicU64,
    /// Bytes of COPY data committed by this run.
    pub(crate) bytes: AtomicU64,
    times: Mutex<Option<(Instant, Instant)>>,
}

impl CopyStats {
    /// The statistics of a copy of so many tables, which starts now.
    pub(crate) fn new(tables: usize) -> Self {
        Self {
            started: Instant::now(),
            is_copying: AtomicBool::new(true),
            tables: (0..tables).map(|_| TableStats::default()).collect(),
        }
    }

    pub(crate) fn tables(&self) -> &[TableStats] {
        &self.tables
    }

    pub(crate) fn end_copy(&self) {
        self.is_copying.store(false, Ordering::Relaxed);
    }

    /// The bytes committed so far and the seconds since the start; `None` after the copy.
    pub(crate) fn pace(&self) -> Option<(u64, f64)> {
        self.is_copying.load(Ordering::Relaxed).then(|| {
            let bytes = self.tables.iter().map(|table| table.bytes.load(Ordering::Relaxed)).sum();
            (bytes, self.started.elapsed().as_secs_f64())
        })
    }
}

impl TableStats {
    /// Seconds from the first chunk that was read to the last that was committed.
    pub(crate) fn seconds(&self) -> f64 {
        let times = lock(&self.times);
        times.map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64())
    }

    pub(crate) fn touch(&self) {
        let now = Instant::now();
        let mut times = lock(&self.times);
        times.get_or_insert((now, now)).1 = now;
    }
}

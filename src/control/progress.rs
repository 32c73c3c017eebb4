//! The progress counters of a run. Only the code that displays them reads them.
//!
//! The pipeline only adds to atomics. Another thread draws, so that a slow terminal never delays a
//! row.

use crate::control::lock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Opening and locking the source, connecting to the target.
    Open,
    /// Reading every value of the source once, for types, chunks and limits.
    Profile,
    /// Deciding everything, and a dry run of the definitions on the target.
    Plan,
    Copy,
    /// Indexes, constraints, sequences, statistics.
    Finish,
    /// Reading both sides again, and comparing them.
    Verify,
    /// Measuring runs and parts of runs, each with counters of its own.
    Measure,
}

impl Phase {
    pub(crate) const ALL: [Self; 7] = {
        use Phase::{Copy, Finish, Measure, Open, Plan, Profile, Verify};
        [Open, Profile, Plan, Copy, Finish, Verify, Measure]
    };

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Profile => "profile",
            Self::Plan => "plan",
            Self::Copy => "copy",
            Self::Finish => "finish",
            Self::Verify => "verify",
            Self::Measure => "measure",
        }
    }
}

/// The counters of one table in the current phase.
#[derive(Debug)]
pub(crate) struct TableProgress {
    pub(crate) name: String,
    /// Rows to do.
    pub(crate) total: u64,
    /// Rows done.
    pub(crate) done: AtomicU64,
}

#[derive(Debug, Default)]
struct Clock {
    /// The time before it was entered last.
    before: Duration,
    /// When it was entered last; `None` while another phase is current.
    since: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct PhaseProgress {
    clock: Mutex<Clock>,
    /// The units of work: bytes of the source file (profile), rows (copy, verify), steps (finish,
    /// measure). 0 where it is unknown.
    pub(crate) total: AtomicU64,
    pub(crate) done: AtomicU64,
    /// Bytes of COPY data written so far (copy).
    pub(crate) bytes: AtomicU64,
    tables: Mutex<Arc<[TableProgress]>>,
    step: Mutex<String>,
}

/// All counters of a run. They are never locked per row.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    current: AtomicUsize,
    phases: [PhaseProgress; 7],
}

impl Progress {
    /// Makes a phase the current one, and ends the one before. A phase may be entered again by the
    /// next data set; its clock continues then.
    pub(crate) fn enter(&self, phase: Phase) {
        let before = self.current.swap(phase as usize, Ordering::Relaxed);
        self.phases[before].stop();
        lock(&self.phases[phase as usize].clock).since = Some(Instant::now());
    }

    /// Ends the current phase. Called once, at the end of the run.
    pub(crate) fn end(&self) {
        self.phases[self.current.load(Ordering::Relaxed)].stop();
    }

    pub(crate) fn current(&self) -> Phase {
        Phase::ALL[self.current.load(Ordering::Relaxed)]
    }

    pub(crate) fn phase(&self, phase: Phase) -> &PhaseProgress {
        &self.phases[phase as usize]
    }
}

impl PhaseProgress {
    /// Sets the tables of the phase, which are those of the current data set.
    pub(crate) fn set_tables(&self, tables: Vec<TableProgress>) {
        *lock(&self.tables) = tables.into();
    }

    /// The tables of the phase; empty before they are known. It locks, so it is called once per block
    /// or per some thousand rows.
    pub(crate) fn tables(&self) -> Arc<[TableProgress]> {
        Arc::clone(&lock(&self.tables))
    }

    /// The total and the units done, for [`Self::rewind`].
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.total.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }

    /// Sets the total and the units done back, for work that starts over.
    pub(crate) fn rewind(&self, (total, done): (u64, u64)) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// Counts rows and bytes of the table with the index `table`.
    pub(crate) fn add(&self, table: usize, rows: u64, bytes: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(table) = self.tables().get(table) {
            table.done.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Sets the current step, in a few words.
    pub(crate) fn set_step(&self, step: impl Into<String>) {
        *lock(&self.step) = step.into();
    }

    /// The current step; empty where none is set.
    pub(crate) fn step(&self) -> String {
        lock(&self.step).clone()
    }

    /// The seconds of the phase so far. 0 before it was entered.
    pub(crate) fn seconds(&self) -> f64 {
        let clock = lock(&self.clock);
        (clock.before + clock.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }

    fn stop(&self) {
        let mut clock = lock(&self.clock);
        let last = clock.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        clock.before += last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn the_clock_of_a_phase_that_is_entered_again_continues() {
        let progress = Progress::default();
        let pause = Duration::from_millis(20);
        for phase in [Phase::Copy, Phase::Finish, Phase::Copy] {
            progress.enter(phase);
            sleep(pause);
        }
        progress.end();
        let copy = progress.phase(Phase::Copy).seconds();
        assert!(copy >= 2.0 * pause.as_secs_f64(), "{copy}");
        sleep(pause);
        assert!(
            (progress.phase(Phase::Copy).seconds() - copy).abs() < 1e-9,
            "the clock has stopped"
        );
        assert!(progress.phase(Phase::Verify).seconds() < 1e-9);
    }
}

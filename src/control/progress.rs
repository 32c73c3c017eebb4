//! What a run tells about itself while it works: counters that anybody may read at any time.
//!
//! The pipeline only adds to atomics; drawing (bars, lines) is for whoever watches, so that a
//! slow terminal can never hold up a row.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Opening and fencing the source, connecting to the target.
    Open,
    /// Reading every value of the source once, to learn types, chunks and limits.
    Profile,
    /// Deciding everything, and trying the definitions on the target.
    Plan,
    /// Copying rows.
    Copy,
    /// Indexes, constraints, sequences, statistics.
    Finish,
    /// Reading both sides again and comparing.
    Verify,
    /// Measuring: runs and parts of runs, each with counters of its own.
    Measure,
}

impl Phase {
    /// All phases, in their order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Open,
        Self::Profile,
        Self::Plan,
        Self::Copy,
        Self::Finish,
        Self::Verify,
        Self::Measure,
    ];

    /// The word a person reads.
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

/// One table's part of the phase at hand.
#[derive(Debug)]
pub(crate) struct TableProgress {
    /// The table's name.
    pub(crate) name: String,
    /// Rows to do.
    pub(crate) total: u64,
    /// Rows done.
    pub(crate) done: AtomicU64,
}

/// How long a phase has taken.
#[derive(Debug, Default)]
struct Clock {
    /// Before it was entered last.
    before: Duration,
    /// Since when it is at work; `None` while another phase is.
    since: Option<Instant>,
}

/// The counters of one phase.
#[derive(Debug, Default)]
pub(crate) struct PhaseProgress {
    clock: Mutex<Clock>,
    /// Units of work to do: bytes of the source file (profile), rows (copy, verify), steps
    /// (finish, measure). 0 where it is not known.
    pub(crate) total: AtomicU64,
    /// Units done.
    pub(crate) done: AtomicU64,
    /// Bytes of the row form moved so far (copy).
    pub(crate) bytes: AtomicU64,
    tables: Mutex<Arc<[TableProgress]>>,
    step: Mutex<String>,
}

/// All counters of a run. Shared by reference; never locked on the rows' way.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    current: AtomicUsize,
    phases: [PhaseProgress; 7],
}

impl Progress {
    /// Begins a phase: it becomes the current one, the one before it ends. Phases may be entered
    /// again (by one data set after another); their clock goes on then.
    pub(crate) fn enter(&self, phase: Phase) {
        let before = self.current.swap(phase as usize, Ordering::Relaxed);
        self.phases[before].stop();
        self.phases[phase as usize].lock_clock().since = Some(Instant::now());
    }

    /// Ends the current phase; called once, when the run is over.
    pub(crate) fn end(&self) {
        self.phases[self.current.load(Ordering::Relaxed)].stop();
    }

    /// The phase at hand.
    pub(crate) fn current(&self) -> Phase {
        Phase::ALL[self.current.load(Ordering::Relaxed)]
    }

    /// The counters of `phase`.
    pub(crate) fn phase(&self, phase: Phase) -> &PhaseProgress {
        &self.phases[phase as usize]
    }
}

impl PhaseProgress {
    /// Names the tables that the phase is at: those of one data set after those of another.
    pub(crate) fn set_tables(&self, tables: Vec<TableProgress>) {
        *self.tables.lock().unwrap_or_else(PoisonError::into_inner) = tables.into();
    }

    /// The tables that the phase is at, empty before they are known. To be asked once a block or
    /// some thousand rows.
    pub(crate) fn tables(&self) -> Arc<[TableProgress]> {
        Arc::clone(&self.tables.lock().unwrap_or_else(PoisonError::into_inner))
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

    /// Counts what was done of the table with the number `table`.
    pub(crate) fn add(&self, table: usize, rows: u64, bytes: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(table) = self.tables().get(table) {
            table.done.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Says in a few words what is being done just now.
    pub(crate) fn set_step(&self, step: impl Into<String>) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    /// What is being done just now; empty where nothing was said.
    pub(crate) fn step(&self) -> String {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seconds that the phase has taken so far. 0 before it was entered.
    pub(crate) fn seconds(&self) -> f64 {
        let clock = self.lock_clock();
        (clock.before + clock.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }

    fn lock_clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        let mut clock = self.lock_clock();
        let lately = clock.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        clock.before += lately;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn a_phase_that_is_entered_again_goes_on_counting() {
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
        assert!((progress.phase(Phase::Copy).seconds() - copy).abs() < 1e-9, "it goes on");
        assert!(progress.phase(Phase::Verify).seconds() < 1e-9);
    }
}

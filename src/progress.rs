//! What a run tells about itself while it works: counters that anybody may read at any time.
//!
//! The pipeline only adds to atomics; drawing (bars, lines) is for whoever watches, so that a
//! slow terminal can never hold up a row.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
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
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Profile, Self::Plan, Self::Copy, Self::Finish, Self::Verify];

    /// The word a person reads.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Profile => "profile",
            Self::Plan => "plan",
            Self::Copy => "copy",
            Self::Finish => "finish",
            Self::Verify => "verify",
        }
    }
}

/// One table's part of the phase at hand.
#[derive(Debug)]
pub struct TableProgress {
    /// The table's name.
    pub name: String,
    /// Rows to do.
    pub total: u64,
    /// Rows done.
    pub done: AtomicU64,
}

/// The counters of one phase.
#[derive(Debug, Default)]
pub struct PhaseProgress {
    started: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    /// Units of work to do: bytes of the source file (profile), rows (copy, verify), steps
    /// (finish). 0 where it is not known.
    pub total: AtomicU64,
    /// Units done.
    pub done: AtomicU64,
    /// Bytes of the row form moved so far (copy, verify).
    pub bytes: AtomicU64,
    tables: OnceLock<Vec<TableProgress>>,
    step: Mutex<String>,
}

/// All counters of a run. Shared by reference; never locked on the rows' way.
#[derive(Debug, Default)]
pub struct Progress {
    current: AtomicUsize,
    phases: [PhaseProgress; 6],
}

impl Progress {
    /// Begins a phase: it becomes the current one, the one before it ends. Phases may be entered
    /// again (several data sets, or one table after another); their clock keeps its start.
    pub fn enter(&self, phase: Phase) {
        let before = self.current.swap(phase as usize, Ordering::Relaxed);
        if before != phase as usize {
            self.phases[before].ended.get_or_init(Instant::now);
        }
        self.phases[phase as usize].started.get_or_init(Instant::now);
    }

    /// Ends the current phase; called once, when the run is over.
    pub fn end(&self) {
        self.phases[self.current.load(Ordering::Relaxed)].ended.get_or_init(Instant::now);
    }

    /// The phase at hand.
    pub fn current(&self) -> Phase {
        Phase::ALL[self.current.load(Ordering::Relaxed)]
    }

    /// The counters of `phase`.
    pub fn phase(&self, phase: Phase) -> &PhaseProgress {
        &self.phases[phase as usize]
    }
}

impl PhaseProgress {
    /// Names the tables of this phase, once.
    pub fn set_tables(&self, tables: Vec<TableProgress>) {
        let _ = self.tables.set(tables);
    }

    /// The tables of this phase, empty before they are known.
    pub fn tables(&self) -> &[TableProgress] {
        self.tables.get().map_or(&[], Vec::as_slice)
    }

    /// Says in a few words what is being done just now.
    pub fn set_step(&self, step: impl Into<String>) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    /// What is being done just now; empty where nothing was said.
    pub fn step(&self) -> String {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seconds from the start of the phase to its end, or to now. 0 before it started.
    pub fn seconds(&self) -> f64 {
        let Some(started) = self.started.get() else { return 0.0 };
        let ended = self.ended.get().copied().unwrap_or_else(Instant::now);
        ended.saturating_duration_since(*started).as_secs_f64()
    }
}

//! The story: plan -> copy -> finish -> verify -> report.
//!
//! [`prepare`] opens everything and makes the plan, without writing; [`Run`] does what was planned.

pub mod back;
pub mod copy;
pub mod deadline;
pub mod earlier;
pub mod estimate;
pub mod finish;
pub mod guard;
pub mod halt;
pub mod interrupt;
pub mod line;
pub mod loading;
pub mod open;
pub mod options;
pub mod pause;
pub mod plan;
pub mod report;
pub mod run;
pub mod shared;
pub mod sizes;
pub mod standing;
pub mod stop;
pub mod verify;

use crate::error::Result;
use crate::progress::Progress;
use options::{Location, Options};
use report::{Outcome, PlanSummary};
use std::sync::Arc;

/// A run that is planned and waits for the word to begin; nothing has been written yet.
pub trait Planned {
    /// What it will do.
    fn summary(&self) -> PlanSummary;

    /// Does it.
    fn run(self, progress: &Arc<Progress>) -> Outcome;
}

/// A planned run of either direction.
pub enum Run {
    /// Into PostgreSQL.
    There(Box<run::Run>),
    /// Into SQLite.
    Back(Box<back::Run>),
}

/// Opens everything and plans, for the direction that the data sets have.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub fn prepare(options: &Options, progress: &Arc<Progress>) -> Result<Run> {
    let into_sqlite = |set: &options::DataSet| matches!(set.target, Location::Sqlite(_));
    if options.data_sets.iter().any(into_sqlite) {
        back::prepare(options, progress).map(|run| Run::Back(Box::new(run)))
    } else {
        run::prepare(options, progress).map(|run| Run::There(Box::new(run)))
    }
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        match self {
            Self::There(run) => run.summary(),
            Self::Back(run) => run.summary(),
        }
    }

    fn run(self, progress: &Arc<Progress>) -> Outcome {
        match self {
            Self::There(run) => run.run(progress),
            Self::Back(run) => run.run(progress),
        }
    }
}

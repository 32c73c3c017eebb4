//! The story: plan -> copy -> finish -> verify -> report.
//!
//! [`prepare`] opens everything and makes the plan, without writing; [`Run`] does what was planned.

pub mod budget;
mod building;
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

use crate::progress::Progress;
pub use run::{Run, prepare};

use report::{Outcome, PlanSummary};
use std::sync::Arc;

/// A run that is planned and waits for the word to begin; nothing has been written yet.
pub trait Planned {
    /// What it will do.
    fn summary(&self) -> PlanSummary;

    /// Does it.
    fn run(self, progress: &Arc<Progress>) -> Outcome;
}

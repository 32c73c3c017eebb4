//! The progress of a run, as bars or lines.

pub(crate) mod renderer;
pub(crate) mod snapshot;
pub(crate) mod term;

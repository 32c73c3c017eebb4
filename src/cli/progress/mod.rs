//! Progress while a run works.

pub mod renderer;
pub mod snapshot;
pub mod term;

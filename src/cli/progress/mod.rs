//! Progress while a run works.

pub(crate) mod renderer;
pub(crate) mod snapshot;
pub(crate) mod term;

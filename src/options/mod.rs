//! The options of a run: checked, and independent of how they were typed.

pub(crate) mod location;
pub(crate) mod plan_options;
pub(crate) mod run_options;
pub(crate) mod service;
pub(crate) mod type_override;

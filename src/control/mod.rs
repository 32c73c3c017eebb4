//! The control of a run below the databases: cancellation, retries, signals, deadlines, progress counters, memory.

pub mod cancel;
pub mod deadline;
pub mod disk_space;
pub mod memory_budget;
pub mod progress;
pub mod retry;
pub mod signals;
pub mod sizing;
pub mod statement_cancel;

//! What people and programs read.

pub mod bench;
pub mod casts;
pub mod console;
pub mod differences;
pub mod errors;
pub mod format;
pub mod json;
pub mod plan;
pub mod redact;
pub mod report;
pub mod rerun_command;
pub mod tables;

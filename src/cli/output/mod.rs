//! The output of the commands, for people and programs.

pub(crate) mod bench;
pub(crate) mod console;
pub(crate) mod differences;
pub(crate) mod errors;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod output_file;
pub(crate) mod plan;
pub(crate) mod redact;
pub(crate) mod report;
pub(crate) mod rerun_command;
pub(crate) mod tables;

//! What is printed and drawn, and nothing else.
use std::ffi::OsString;
use std::process::ExitCode;
/// Runs the command line.
pub fn main(_arguments: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::from(2)
}
pub mod generate;
pub mod private_server;

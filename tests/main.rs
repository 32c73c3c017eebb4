//! All integration tests, in one program: one file, one subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on panics"
)]

mod aftermath;
mod back;
mod bench;
mod cli;
mod edges;
mod expect;
mod fence;
mod fixtures;
mod harness;
mod interruption;
mod limits;
mod oracle;
mod outcome;
mod pause;
mod products;
mod refusals;
mod report;
mod resume;
mod server;
mod source;
mod targets;
mod tls;
mod verify;
mod views;
mod waiting;

//! All integration tests, in one program: one file, one subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on panics"
)]

mod cli;
mod fence;
mod harness;
mod server;
mod tls;

//! The tests that need the built program, or a database server: one binary for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking; the lints know only functions that are marked as tests"
)]

mod cli;

//! All integration tests in one program; each file has one subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a failing test panics"
)]

mod aftermath;
mod attached;
mod back;
mod bench;
mod catalogs;
mod clean;
mod cli;
mod consent;
mod damage;
mod edges;
mod expect;
mod fixtures;
mod harness;
mod hints;
mod interruption;
mod json;
mod limits;
mod oracle;
mod outcome;
mod pause;
mod products;
mod readme;
mod refusals;
mod report;
mod resume;
mod server;
mod snapshots;
mod source;
mod targets;
mod terminal;
mod text_types;
mod tls;
mod verify;
mod views;
mod waiting;
mod write_lock;

//! The tests that need the built program, or a database server: one binary for all of them.

mod cli;

//! The way back: PostgreSQL to SQLite, with the same plan, copy, finish, verify and report.
//!
//! ```text
//!  PostgreSQL readers ──row batches, in order──> writer ──> partial file ──> target
//!  (N connections,       bounded by the budget   (SQLite
//!   one snapshot)                                 has one)
//! ```
//!
//! Readers decode, so that the one writer has nothing to do but to bind and to insert. Nothing
//! stands under the target's name before all of it was finished, verified and is on the disk.

mod run;

pub use run::{Run, prepare};

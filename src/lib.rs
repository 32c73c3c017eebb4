//! `migrate` moves an application's data between SQLite and PostgreSQL and proves that every
//! value arrived.
//!
//! ```text
//!  SQLite readers ──row batches──> encoders ──blocks──> PostgreSQL writers ──> ledger
//!    (N threads)   bounded channel  (rayon)   bounded channel  (M connections)
//! ```
//!
//! Imports run downwards only: `cli` > `product`, `bench` > `transfer` > `sqlite`, `postgres` >
//! `database` > `codec`, `config` > `schema` > `error`, `progress`.

pub mod bench;
pub mod cli;
pub mod codec;
pub mod config;
pub mod control;
pub mod copy;
pub mod error;
pub mod finish;
pub mod options;
pub mod plan;
pub mod postgres;
pub mod product;
pub mod report;
pub mod run;
pub mod schema;
pub mod sqlite;
pub mod verify;

pub use crate::error::{Error, Kind, Result};

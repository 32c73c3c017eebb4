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
pub mod database;
pub mod error;
pub mod postgres;
pub mod product;
pub mod progress;
pub mod schema;
mod space;
pub mod sqlite;
pub mod transfer;

pub use error::{Error, Kind, Result};

//! `migrate` moves an application's data between SQLite and PostgreSQL and proves that every
//! value arrived.
//!
//! ```text
//!  SQLite readers ──row batches──> encoders ──blocks──> PostgreSQL writers ──> ledger
//!    (N threads)   bounded channel  (rayon)   bounded channel  (M connections)
//! ```
//!
//! The folders are the way of the data, and imports run downwards only; ARCHITECTURE.md has the
//! list. The crate is a program: its library part exists for the program's own benches, tests and
//! scripts.

mod bench;
mod cli;
mod codec;
mod config;
mod control;
mod copy;
mod error;
mod finish;
mod options;
mod plan;
mod postgres;
mod product;
mod report;
mod run;
mod schema;
mod sqlite;
mod verify;

pub use cli::main;
pub use error::{Error, Kind, Result};

/// What the benches, tests and scripts of this project use, and nobody else: it may change with
/// any commit.
#[doc(hidden)]
pub mod internals {
    pub use crate::bench::stages::insert_limit;
    pub use crate::codec::block::Block;
    pub use crate::codec::digest::Digest;
    pub use crate::codec::encode::column_encoder::ColumnEncoder;
    pub use crate::codec::encode::tuple_encoder::TupleLayout;
    pub use crate::codec::encoding::Encoding;
    pub use crate::codec::row_batch::RowBatch;
    pub use crate::codec::sqlite_value::SqliteValue;
    pub use crate::codec::tuple::fields;
    pub use crate::codec::types::json::validate as json;
    pub use crate::codec::types::temporal::epoch::Epoch;
    pub use crate::codec::types::temporal::iso;
    pub use crate::codec::types::{numeric, uuid};
    pub use crate::config::connection::{Connection, Defaults};
    pub use crate::config::environment::Environment;
    pub use crate::config::gcfg::Gcfg;
    pub use crate::control::cancel::CancelScope;
    pub use crate::control::statement_cancel::StatementCanceller;
    pub use crate::postgres::connect::connect;
    pub use crate::postgres::connect::create_database::create_database;
    pub use crate::postgres::connect::driver::Driver;
    pub use crate::postgres::connect::session::Session;
    pub use crate::postgres::copy_out::{Snapshot, TupleReader};
    pub use crate::postgres::errors;
    pub use crate::postgres::server::{Options, PrivateServer, Shutdown};
    pub use crate::schema::column_type::ColumnType;
    pub use crate::sqlite::source::connection::SourceConnection;
    pub use crate::sqlite::source::open::{Source, SourceOptions};
}

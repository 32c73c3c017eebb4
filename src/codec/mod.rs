//! Row bytes: values, batches, tuples, blocks and digests. No I/O, no database crate.
//!
//! Two forms of a row meet here. A *row batch* holds rows as a SQLite reader copied them out:
//! storage class and bytes. A *block* holds the same rows as tuples of PostgreSQL's binary COPY,
//! which is the form that is hashed. [`encode`] is the way from the one to the other.
//!
//! Everything is big-endian, as PostgreSQL's wire format is; the other conversions are denied so
//! that a digest made on one machine means the same on another.
#![deny(clippy::host_endian_bytes, clippy::little_endian_bytes)]

pub(crate) mod block;
pub(crate) mod decode;
pub(crate) mod digest;
pub(crate) mod encode;
pub(crate) mod row_batch;
pub(crate) mod sqlite_value;
pub(crate) mod tuple;
pub(crate) mod types;

pub use crate::codec::block::Block;
pub use crate::codec::digest::Digest;
pub(crate) use crate::codec::encode::column_encoder::{ColumnEncoder, Encoding, Misfit};
pub use crate::codec::row_batch::RowBatch;
pub use crate::codec::sqlite_value::SqliteValue;

/// The property tests' settings: the same cases in every run, nothing written beside the code.
#[cfg(test)]
fn same_cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(2_000),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

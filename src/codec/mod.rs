//! Row bytes: values, batches, tuples, blocks and digests. No I/O, no database crate.
//!
//! A row has two forms. A *row batch* holds rows as a SQLite reader copied them: storage class and
//! bytes. A *block* holds the same rows as tuples of PostgreSQL's binary COPY, which is the form
//! that is hashed. [`encode`] turns the first into the second, [`decode`] goes the other way, and
//! [`types`] has one file per column type for both.
//!
//! Everything is big-endian, as PostgreSQL's wire format is. The other conversions are denied, so
//! that a digest is the same on every machine.
#![deny(clippy::host_endian_bytes, clippy::little_endian_bytes)]

pub(crate) mod block;
pub(crate) mod decode;
pub(crate) mod digest;
pub(crate) mod encode;
pub(crate) mod encoding;
pub(crate) mod fidelity;
pub(crate) mod field;
pub(crate) mod row_batch;
pub(crate) mod sort_key;
pub(crate) mod sqlite_value;
#[cfg(test)]
pub(crate) mod test_cases;
pub(crate) mod tuple;
pub(crate) mod types;

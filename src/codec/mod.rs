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
#[cfg(test)]
pub(crate) mod test_cases;
pub(crate) mod tuple;
pub(crate) mod types;

//! Row bytes: values, tuples, batches, blocks and digests. No I/O, no database crate.

// The row form is big-endian on every machine; a digest must not depend on the host.
#![deny(clippy::host_endian_bytes, clippy::little_endian_bytes)]

pub mod epoch;
pub mod json;
pub mod numeric;
pub mod temporal;
pub mod uuid;

//! Row bytes: values, tuples, batches, blocks and digests. No I/O, no database crate.

// The row form is big-endian on every machine; a digest must not depend on the host.
#![deny(clippy::host_endian_bytes, clippy::little_endian_bytes)]

pub mod decimal;
pub mod epoch;
pub mod json;
pub mod numeric;
pub mod temporal;
pub mod uuid;

/// The property tests' settings: the same cases in every run, nothing written beside the code.
#[cfg(test)]
fn same_cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(2_000),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

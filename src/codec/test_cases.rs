//! The settings of property tests.

use proptest::test_runner::{Config, RngSeed};

/// Settings that run the same cases every time and write no files.
pub(crate) fn same_cases() -> Config {
    Config { rng_seed: RngSeed::Fixed(2_000), failure_persistence: None, ..Config::default() }
}

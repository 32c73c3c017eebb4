//! The settings and tables of tests.

use proptest::test_runner::{Config, RngSeed};

/// Settings that run the same cases every time and write no files.
pub(crate) fn same_cases() -> Config {
    Config { rng_seed: RngSeed::Fixed(2_000), failure_persistence: None, ..Config::default() }
}

/// The texts of some lines, separated by bars. A table of many short texts is easier to read so.
pub(crate) fn texts<'a>(lines: &[&'a str]) -> impl Iterator<Item = &'a str> {
    lines.iter().flat_map(|line| line.split('|'))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

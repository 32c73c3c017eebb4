//! Making data to measure with.

pub mod generate;

//! The schema check: compares the target's catalog with the schema that it should have.
//!
//! The expected schema comes from the plan ([`planned`]), or from the other side's catalog if there
//! is no plan ([`matched`]). [`diff`] compares it with the existing schema of either database.

pub(crate) mod diff;
pub(crate) mod existing;
pub(crate) mod expected;
pub(crate) mod matched;
pub(crate) mod planned;
pub(crate) mod table_diff;
#[cfg(test)]
mod tests;

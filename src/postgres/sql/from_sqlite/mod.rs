//! Translation of SQLite's expressions to PostgreSQL's, if both mean exactly the same.
//!
//! The translation depends on the new column types: `a IN (0, 1)` over integers becomes
//! `a IN (false, true)` over a boolean. A construct that may give another result for any value of
//! the new columns is refused with the reason. One exception: for an integer overflow, SQLite
//! continues with an approximate real and PostgreSQL fails.
//!
//! All functions in a result are IMMUTABLE, so that indexes may use it. Text columns are
//! `COLLATE "C"`: they compare by bytes, as SQLite's BINARY does.

pub(crate) mod aggregate;
pub(crate) mod compare;
pub(crate) mod constant;
pub(crate) mod default;
pub(crate) mod definitions;
pub(crate) mod functions;
pub(crate) mod scope;
pub(crate) mod select;
#[cfg(test)]
mod select_tests;
#[cfg(test)]
mod tests;
pub(crate) mod value;

//! SQLite's expressions as PostgreSQL's, where both mean exactly the same.
//!
//! Everything here knows the new column types: what was `a IN (0, 1)` over integers is
//! `a IN (false, true)` over a boolean. A construct that is not known to give the same result
//! for every value that the new columns can hold is refused with the reason; nothing is guessed.
//! The one latitude: where SQLite turns an overflowing integer into an approximate real,
//! PostgreSQL refuses the row.
//!
//! All functions that appear in a result are IMMUTABLE, so that it may stand in an index. Text
//! columns are taken to be `COLLATE "C"`: they compare by bytes, as SQLite's BINARY does.

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

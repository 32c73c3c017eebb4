//! Translation of PostgreSQL's expressions to SQLite's, if both mean exactly the same.
//!
//! The translation depends on the target's columns. A construct that may give another result for
//! any value is refused with the reason. One exception: for an integer overflow, PostgreSQL fails
//! and SQLite continues with a real.

pub(crate) mod clock;
pub(crate) mod constant;
pub(crate) mod definitions;
pub(crate) mod node;
#[cfg(test)]
mod tests;
pub(crate) mod value;

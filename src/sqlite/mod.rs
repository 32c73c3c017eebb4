//! The SQLite side.

pub mod catalog;
pub mod parse;
pub mod types;

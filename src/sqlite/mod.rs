//! The SQLite side.
pub mod read;
pub mod profile;

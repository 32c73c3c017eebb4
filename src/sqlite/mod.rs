//! The SQLite side: opening and locking a source, catalog, profile, reading, writing.

pub(crate) mod catalog;
pub(crate) mod errors;
pub(crate) mod read;
pub(crate) mod source;
pub(crate) mod sql;
pub(crate) mod write;

//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub(crate) mod catalog;
pub(crate) mod errors;
pub(crate) mod read;
pub(crate) mod source;
pub(crate) mod sql;
pub(crate) mod write;

pub use crate::sqlite::source::{Source, SourceConnection, SourceOptions};

//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub(crate) mod catalog;
pub(crate) mod read;
pub(crate) mod source;
pub(crate) mod sql;
pub(crate) mod write;

pub(crate) use crate::sqlite::source::Interrupter;
pub use crate::sqlite::source::{Source, SourceConnection, SourceOptions};

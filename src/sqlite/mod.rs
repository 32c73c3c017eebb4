//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub mod catalog;
pub mod read;
pub mod source;
pub mod sql;
pub mod write;

pub use crate::sqlite::source::fingerprint::{FileState, Fingerprint, Moment, WalState};
pub use crate::sqlite::source::{Interrupter, Reader, Source, SourceOptions};

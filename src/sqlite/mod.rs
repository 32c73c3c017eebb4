//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub mod backup;
pub mod catalog;
mod claim;
pub mod collect;
mod fence;
mod fingerprint;
pub(crate) mod holders;
mod leftovers;
pub mod parse;
mod private_copy;
pub mod profile;
pub mod query;
pub mod read;
mod source;
pub mod types;

pub use fingerprint::{FileState, Fingerprint, Moment, WalState};
pub use source::{Interrupter, Reader, Source, SourceOptions};

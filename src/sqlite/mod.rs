//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub mod backup;
pub mod catalog;
pub mod check;
mod claim;
pub mod collect;
pub mod ddl;
mod fence;
mod fingerprint;
pub(crate) mod holders;
mod leftovers;
mod pages;
pub mod parse;
pub mod partial;
mod private_copy;
pub mod profile;
pub mod query;
pub mod ranges;
pub mod read;
pub mod record;
mod source;
pub mod translate;
pub mod types;
pub mod write;

pub use fingerprint::{FileState, Fingerprint, Moment, WalState};
pub use source::{Interrupter, Reader, Source, SourceOptions};

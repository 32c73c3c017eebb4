//! The SQLite side.

mod claim;
mod fence;
mod fingerprint;
mod holders;
mod leftovers;
mod private_copy;
mod source;

pub use fingerprint::{FileState, Fingerprint, Moment, WalState};
pub use source::{Reader, Source, SourceOptions};

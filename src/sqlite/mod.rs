//! The SQLite side: opening and fencing a source, its catalog, the profile, reading rows.

pub mod fence;
pub mod fingerprint;
mod holders;
mod leftovers;
mod private_copy;
pub mod profile;
pub mod read;
pub mod source;

//! The profile: one parallel scan of every stored value, before anything is written.
//!
//! It finds the storage classes of each column, the candidate types that fit, the bounds of evenly
//! sized chunks, and whether unique indexes are in step with their tables.

pub(crate) mod column;
pub(crate) mod scan;
pub(crate) mod table;
pub(crate) mod unique;
pub(crate) mod work;

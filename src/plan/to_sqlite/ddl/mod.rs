//! The definitions of the target, made from the source's schema and the decided types.

pub(crate) mod defaults;
pub(crate) mod definitions;
pub(crate) mod foreign_keys;
pub(crate) mod indexes;
pub(crate) mod tables;

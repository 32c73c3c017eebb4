//! The definitions of the target, made from the source's schema and the decided types.

pub(crate) mod comments;
pub(crate) mod definitions;
pub(crate) mod foreign_keys;
pub(crate) mod keys;
pub(crate) mod lost;
pub(crate) mod tables;

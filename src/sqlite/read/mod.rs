//! Reading a SQLite file: b-tree pages, chunks, profile.

pub(crate) mod btree;
pub(crate) mod chunk_reader;
pub(crate) mod collector;
pub(crate) mod entries;
pub(crate) mod key_ranges;
pub(crate) mod profile;
pub(crate) mod query;

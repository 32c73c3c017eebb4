//! Reading a SQLite file: pages, chunks, profile.

pub mod btree;
pub mod chunk_reader;
pub mod collector;
pub mod key_ranges;
pub mod profile;
pub mod query;

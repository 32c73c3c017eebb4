//! Writing a SQLite file.

pub mod bulk_insert;
pub mod integrity_check;
pub mod staged_file;
pub mod verdict_file;

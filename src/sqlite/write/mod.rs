//! Writing a SQLite file: bulk inserts, the staged file, the integrity check.

pub(crate) mod bulk_insert;
pub(crate) mod integrity_check;
pub(crate) mod staged_file;
pub(crate) mod stale_log;
pub(crate) mod target_file;
pub(crate) mod verdict_file;

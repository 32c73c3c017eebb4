//! The finish: what comes after the rows.

pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

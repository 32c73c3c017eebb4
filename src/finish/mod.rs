//! The finish: what comes after the rows.

pub mod to_postgres;
pub mod to_sqlite;

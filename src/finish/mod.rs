//! The finish: everything after the rows.

pub(crate) mod finished;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

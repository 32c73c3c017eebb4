//! The work on one data set, once for each direction.

pub mod compare_only;
pub mod run_state;
pub mod to_postgres;
pub mod to_sqlite;

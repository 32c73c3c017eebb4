//! The work on one data set, in each direction.

pub(crate) mod compare_only;
pub(crate) mod drop_existing;
pub(crate) mod run_state;
pub(crate) mod sides;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

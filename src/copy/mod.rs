//! The copy: a pipeline of readers, encoders and writers joined by bounded channels.

pub mod buffer_pool;
pub mod rate_limit;
pub mod schedule;
pub mod to_postgres;
pub mod to_sqlite;

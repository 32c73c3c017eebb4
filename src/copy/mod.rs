//! The copy: a pipeline of readers, encoders and writers, joined by bounded channels.

pub(crate) mod buffer_pool;
pub(crate) mod channel;
pub(crate) mod rate_limit;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod stats;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

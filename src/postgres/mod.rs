//! The PostgreSQL side.
pub mod server;

//! The PostgreSQL side.

pub mod connect;
pub mod errors;
mod tls;

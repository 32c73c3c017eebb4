//! The PostgreSQL side.

pub mod translate;

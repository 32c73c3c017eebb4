//! The PostgreSQL side.

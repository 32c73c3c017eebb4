//! The PostgreSQL side: connecting, definitions, the ledger, writing blocks.

pub mod catalog;
pub mod connect;
pub mod copy_in;
pub mod copy_out;
pub mod errors;
pub mod lease;
pub mod ledger;
pub mod server;
pub mod sql;

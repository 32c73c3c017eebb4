//! The PostgreSQL side: connecting, definitions, the ledger, writing blocks.

pub mod advisory;
pub mod backend;
pub mod built;
pub mod catalog;
pub mod claim;
pub mod connect;
pub mod ddl;
pub mod errors;
pub mod ledger;
pub mod parse;
pub mod pulse;
pub mod read;
pub mod server;
pub mod sessions;
pub mod target;
mod tls;
pub mod translate;
pub mod write;

//! PostgreSQL: connections, catalog, definitions, COPY in both directions, run lock and ledger.

pub(crate) mod attached;
pub(crate) mod catalog;
pub(crate) mod connect;
pub(crate) mod copy_in;
pub(crate) mod copy_out;
pub mod errors;
pub(crate) mod lease;
pub(crate) mod ledger;
pub(crate) mod relation;
pub(crate) mod server;
pub(crate) mod sql;

//! `migrate bench`: how fast this machine and this server move rows, per stage and as a whole.
//!
//! ```text
//!  rounds    scan, encode, hash, the server's limits, SQLite's limit, the copy, the whole job
//!  sweep     the copy with other numbers of writers and other chunk sizes
//!  settings  limit, copy and finish on servers with one changed setting each
//! ```
//!
//! [`run::run`] does it all in a scratch schema, which is dropped at the end. Repeated measurements
//! are reported as medians, and measurements that are compared take turns.

pub(crate) mod bottleneck;
pub(crate) mod generate;
pub(crate) mod harness;
pub(crate) mod measure;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod rounds;
pub(crate) mod run;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod space;
pub(crate) mod stages;
pub(crate) mod sweep;

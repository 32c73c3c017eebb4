//! Measuring: how fast this machine and this server move rows, stage by stage and as a whole.
//!
//! ```text
//!  rounds    scan, encode, hash, the server's limits, SQLite's limit, the copy, the whole job
//!  sweep     the copy with other numbers of writers and other sizes of chunks
//!  settings  limit, copy and finish on servers with one setting changed each
//! ```
//!
//! [`run()`] does it all, in a scratch schema of which nothing stays. What is measured several times
//! is told as a median, and what is compared is measured in turns.

pub(crate) mod blocks;
pub(crate) mod bottleneck;
pub(crate) mod generate;
pub(crate) mod limits;
pub(crate) mod measure;
pub(crate) mod report;
pub(crate) mod rounds;
pub(crate) mod run;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod space;
pub(crate) mod stages;
pub(crate) mod sweep;

pub(crate) use crate::bench::run::{Request, Subject, run};

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

pub mod blocks;
pub mod bottleneck;
pub mod generate;
pub mod limits;
pub mod measure;
pub mod report;
pub mod rounds;
pub mod run;
pub mod scratch;
pub mod server;
pub mod settings;
pub mod space;
pub mod stages;
pub mod sweep;

pub use crate::bench::run::{Request, Subject, run};

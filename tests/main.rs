//! The integration tests: one binary, so that the server they need is started once.

mod aftermath;
mod expect;
mod fixtures;
mod harness;
mod limits;
mod oracle;
mod outcome;
mod refusals;
mod source;
mod targets;

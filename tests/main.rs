//! The integration tests: everything that needs a database server or other processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tls;

//! The integration tests: everything that needs a database server or other processes.

mod tls;

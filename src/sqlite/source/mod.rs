//! Opening a SQLite source: write lock, fingerprint, private copy, backup.
//!
//! While a write lock is held, this process opens the file, its `-wal` and its `-shm` only through
//! SQLite: closing any descriptor of a file drops every lock that the process holds on it.

pub(crate) mod backup;
pub(crate) mod cleanup;
pub(crate) mod connection;
pub(crate) mod fingerprint;
pub(crate) mod interrupter;
pub(crate) mod lock_holders;
pub(crate) mod open;
pub(crate) mod open_file;
pub(crate) mod open_files;
pub(crate) mod private_copy;
pub(crate) mod write_lock;

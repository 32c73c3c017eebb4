//! The SQLite side.

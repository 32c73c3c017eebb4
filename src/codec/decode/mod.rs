//! Decoding: rows of PostgreSQL's binary COPY to values of SQLite.

pub mod field_decoder;

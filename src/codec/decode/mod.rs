//! Decoding: rows of PostgreSQL's binary COPY to values of SQLite.

pub(crate) mod field_decoder;

//! Encoding: values of SQLite to rows of PostgreSQL's binary COPY.

pub mod column_encoder;
pub mod heap_page;
pub mod tuple_encoder;

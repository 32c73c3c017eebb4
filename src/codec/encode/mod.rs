//! Encoding: values of SQLite to rows of PostgreSQL's binary COPY.

pub(crate) mod column_encoder;
pub(crate) mod heap_page;
pub(crate) mod tuple_encoder;

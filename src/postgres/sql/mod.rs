//! PostgreSQL's SQL: parsing, statements, translation from SQLite.

pub(crate) mod ddl;
pub(crate) mod from_sqlite;
pub(crate) mod parse;

//! SQLite's SQL: parsing, statements, translation from PostgreSQL.

pub(crate) mod ddl;
pub(crate) mod declared_type;
pub(crate) mod from_postgres;
pub(crate) mod parse;

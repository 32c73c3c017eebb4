//! SQL for and from PostgreSQL: parsing, statements, translation.

pub(crate) mod ddl;
pub(crate) mod from_sqlite;
pub(crate) mod parse;

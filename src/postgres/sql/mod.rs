//! SQL for and from PostgreSQL: parsing, statements, translation.

pub mod ddl;
pub mod from_sqlite;
pub mod parse;

//! SQL for and from SQLite: parsing, statements, translation.

pub mod ddl;
pub mod declared_type;
pub mod from_postgres;
pub mod parse;

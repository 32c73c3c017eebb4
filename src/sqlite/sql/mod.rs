//! SQL for and from SQLite: parsing, statements, translation.

pub(crate) mod ddl;
pub(crate) mod declared_type;
pub(crate) mod from_postgres;
pub(crate) mod parse;

//! The stages that are measured alone: of this program, of the server, of SQLite.

pub(crate) mod blocks;
pub(crate) mod client;
pub(crate) mod copy_limit;
pub mod insert_limit;
pub(crate) mod walk;

//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod database;
pub(crate) mod generate;
pub(crate) mod help;
pub(crate) mod keys;
pub(crate) mod plan;
pub(crate) mod private_server;
pub(crate) mod provider;
pub(crate) mod supervise;

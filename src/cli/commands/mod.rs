//! The commands, one file each.

pub mod bench;
pub mod database;
pub mod generate;
pub mod help;
pub mod keys;
pub mod plan;
pub mod private_server;
pub mod provider;
pub mod supervise;

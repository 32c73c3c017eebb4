//! Configuration: text in, validated values out.

pub mod cipher;
pub mod connection;
pub mod environment;
pub mod gcfg;
pub mod key;
pub mod secret;

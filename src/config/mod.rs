//! Configuration: text in, validated values out.

pub mod connection;
pub mod environment;
pub mod secret;

//! Configuration: text in, validated values out.

pub(crate) mod cipher;
pub(crate) mod connection;
pub(crate) mod environment;
pub(crate) mod gcfg;
pub(crate) mod key;
pub(crate) mod secret;

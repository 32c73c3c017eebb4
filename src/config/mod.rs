//! The configuration: parsers that turn texts into validated values.

pub(crate) mod cipher;
pub(crate) mod connection;
pub(crate) mod environment;
pub(crate) mod gcfg;
pub(crate) mod key;
pub(crate) mod secret;

//! The two products' own command on trees like real ones: configuration, data sets, guards, the
//! provider's switch, secrets.

mod data_sets;
mod guards;
mod provider;
mod secrets;
pub(crate) mod tree;
mod way_back;

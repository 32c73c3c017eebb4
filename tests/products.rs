//! The commands on trees like those of the two products: configuration, data sets, checks, the provider's
//! switch, secrets.

mod data_sets;
mod guards;
mod provider;
mod secrets;
pub(crate) mod tree;
mod way_back;

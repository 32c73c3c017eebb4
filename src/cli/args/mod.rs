//! The command line: every command and flag, the parsers of values, and usage errors.
//!
//! The doc comments of the flags are the help and the man page. [`crate::cli::request`] turns the
//! arguments into options.

pub(crate) mod bench;
pub(crate) mod choices;
pub(crate) mod command;
pub(crate) mod migration;
pub(crate) mod normalize;
pub(crate) mod posit;
pub(crate) mod product_flags;
pub(crate) mod scripts;
pub(crate) mod usage_error;
pub(crate) mod value_parsers;

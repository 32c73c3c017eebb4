//! The plan: everything that is decided before the first write. Printing it is the dry run.
//!
//! Both directions take the same steps, in `build.rs` of their folder: choose the tables, check
//! what forbids a run, inspect the stored values, decide the types, write the definitions, try
//! them on the target, and enforce `--exact` and `--strict`.

pub(crate) mod model;
pub(crate) mod strict;
pub(crate) mod table_selection;
pub(crate) mod texts;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

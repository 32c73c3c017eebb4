//! The plan from PostgreSQL to SQLite.

pub(crate) mod build;
pub(crate) mod column_types;
pub(crate) mod ddl;
pub(crate) mod decisions;
pub(crate) mod dry_run;
pub(crate) mod inheritance;
pub(crate) mod inputs;
pub(crate) mod key_ranges;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod originals;
pub(crate) mod preconditions;
pub(crate) mod source_queries;
pub(crate) mod value_checks;

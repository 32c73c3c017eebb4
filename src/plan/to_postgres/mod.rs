//! The plan from SQLite to PostgreSQL.

pub(crate) mod broken_constraints;
pub(crate) mod build;
pub(crate) mod column_types;
pub(crate) mod ddl;
pub(crate) mod decisions;
pub(crate) mod dry_run;
pub(crate) mod inputs;
pub(crate) mod misfits;
pub(crate) mod model;
pub(crate) mod preconditions;
pub(crate) mod reject;
pub(crate) mod source_checks;
pub(crate) mod type_rules;
pub(crate) mod views;

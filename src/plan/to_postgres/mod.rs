//! The plan from SQLite to PostgreSQL.

pub(crate) mod build;
pub(crate) mod column_types;
pub(crate) mod ddl;
pub(crate) mod dry_run;
pub(crate) mod misfits;
pub(crate) mod reject;
pub(crate) mod source_checks;
pub(crate) mod type_rules;
pub(crate) mod views;

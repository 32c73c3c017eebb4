//! The plan from SQLite to PostgreSQL.

pub mod build;
pub mod column_types;
pub mod ddl;
pub mod dry_run;
pub mod misfits;
pub mod reject;
pub mod source_checks;
pub mod type_rules;
pub mod views;

//! The story: plan, copy, finish, verify, report.
pub mod report;

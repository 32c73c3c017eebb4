//! The limits that the stages are compared with.

pub mod copy_limit;
pub mod insert_limit;

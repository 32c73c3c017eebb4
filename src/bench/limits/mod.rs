//! The limits that the stages are compared with.

pub(crate) mod copy_limit;
pub mod insert_limit;

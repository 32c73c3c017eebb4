//! Verification: reads both sides again and compares every row.
//!
//! A row is compared by its canonical tuple, a table by the sums of its rows' hashes in buckets.
//! Where buckets differ, a second scan of these buckets finds the rows. Verification uses nothing
//! from the memory of a copy and writes nothing.
//!
//! Inside this folder the sides are called `sqlite` and `postgres`, whatever the direction of the
//! run. Which of them is the source is known to [`roles`] only, when the report is filled.

pub(crate) mod buckets;
pub(crate) mod column_diff;
pub(crate) mod compare;
pub(crate) mod compared_table;
pub(crate) mod match_tables;
pub(crate) mod roles;
pub(crate) mod row_diff;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod schema_check;
pub(crate) mod settings;
pub(crate) mod to_sqlite;
pub(crate) mod verdict;

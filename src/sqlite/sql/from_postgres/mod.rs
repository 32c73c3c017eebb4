//! PostgreSQL's expressions as SQLite's, where both mean exactly the same.
//!
//! The twin of the way there: everything here knows the columns that the values arrive in. A
//! construct that is not known to give the same result for every value is refused with the
//! reason; nothing is guessed. The one latitude: where PostgreSQL refuses an overflowing integer,
//! SQLite goes on with a real.

pub(crate) mod clock;
pub(crate) mod constant;
pub(crate) mod definitions;
pub(crate) mod node;
#[cfg(test)]
mod tests;
pub(crate) mod value;

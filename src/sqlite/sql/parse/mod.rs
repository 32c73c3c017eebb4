//! SQLite's SQL, parsed into the neutral schema.
//!
//! The grammar is that of the crate `sqlite3-parser`, which is SQLite's own. Text that it cannot
//! parse gives `None`, and an expression with an unknown construct has no tree.

pub(crate) mod create;
pub(crate) mod expression;
pub(crate) mod kept;
pub(crate) mod statement;
pub(crate) mod view;

//! The objects that a run did not migrate.

use crate::schema::{LeftOut, ObjectKind};
use serde::{Deserialize, Serialize};

/// An object that a run did not migrate, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Omission {
    /// The kind.
    pub(crate) kind: ObjectKind,
    /// The table in the source, if it belongs to one.
    pub(crate) table: Option<String>,
    /// The name.
    pub(crate) name: String,
}

impl Omission {
    /// The omission of an object that the report lists.
    pub(crate) fn from_left_out(left_out: &LeftOut) -> Self {
        let LeftOut { kind, table, name, .. } = left_out.clone();
        Self { kind, table, name }
    }
}

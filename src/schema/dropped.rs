//! What a run drops in its target, and whether that needs consent.

use crate::schema::ObjectKind;
use serde::Serialize;

/// An object in the target that is dropped first.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Dropped {
    /// The kind: `table`, `view`, `sequence` or `type`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Whether the plan creates an object of that kind and name.
    pub(crate) comes_back: bool,
    /// The rows of a table in the target, if they could be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_rows: Option<u64>,
    /// In a table that migrate created: the rows that it did not write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows_by_others: Option<u64>,
    /// The rows in the source of a table that comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_rows: Option<u64>,
    /// What is attached to it: owner, policies, comments, grants. It is restored if the object comes
    /// back, and lost otherwise. Empty if there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) attached: String,
    /// The same by name, without comments: `policy "own"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) attached_names: Vec<String>,
    /// `--restart` drops it.
    #[serde(skip)]
    pub(crate) is_restarted: bool,
}

impl Dropped {
    /// Whether the flag that drops the table is not enough. `--restart` needs consent for rows that
    /// migrate did not write, `--clean` and `--drop-all` if the source has fewer rows.
    pub(crate) fn needs_consent(&self) -> bool {
        let all_come_back = self.target_rows.is_some_and(|rows| Some(rows) <= self.source_rows);
        self.kind == ObjectKind::Table.as_str()
            && match self.rows_by_others {
                Some(others) if self.is_restarted => others > 0,
                _ => !all_come_back,
            }
    }
}

//! Why an expression or a view cannot be translated.

use crate::schema::expression::{Expression, Sql};

/// The reason why something is not migrated, in words that follow "because it".
pub(crate) type Reason = String;

pub(crate) fn tree(sql: &Sql) -> Result<&Expression, Reason> {
    sql.tree.as_ref().ok_or_else(|| "has an unknown construct".to_owned())
}

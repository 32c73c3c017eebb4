//! Views.

use crate::schema::{LeftOut, ObjectKind, Schema};
use crate::transfer::plan::Optional;
use crate::transfer::plan::definitions::TableDefinition;

/// Defines the views that can be carried over and lists the others.
pub fn define(
    _schema_name: &str,
    schema: &Schema,
    _tables: &[TableDefinition],
    left_out: &mut Vec<LeftOut>,
) -> Vec<Optional> {
    left_out.extend(schema.views.iter().map(|view| LeftOut {
        kind: ObjectKind::View,
        table: None,
        name: view.name.clone(),
        reason: "views are not carried over".to_owned(),
        definition: Some(view.definition.clone()),
        rows: None,
    }));
    Vec::new()
}

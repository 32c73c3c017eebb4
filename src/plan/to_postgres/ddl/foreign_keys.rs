//! Foreign keys, where the server can have them.

use crate::plan::model::PlannedColumn;
use crate::plan::table_selection::BY_REQUEST;
use crate::plan::to_postgres::ddl::comments;
use crate::plan::to_postgres::ddl::definitions::{Definitions, integer_limit};
use crate::plan::to_postgres::model::{PlannedForeignKey, ToPostgres};
use crate::postgres::sql::ddl::ForeignKeyDdl;
use crate::schema::names::{qualify, quote};
use crate::schema::{ForeignKey, LeftOut, ObjectKind};

impl Definitions<'_> {
    /// Defines the foreign keys, after all tables.
    pub(crate) fn foreign_keys(
        &mut self,
        columns: &[&[PlannedColumn<ToPostgres>]],
    ) -> Vec<PlannedForeignKey> {
        let schema = self.schema();
        let mut keys = Vec::new();
        for (child, table) in schema.tables.iter().enumerate() {
            for key in &table.foreign_keys {
                let wanted = key.name.clone().unwrap_or_else(|| {
                    format!("{}_{}_fkey", self.table_names[child], key.columns.join("_"))
                });
                let name = self.constraints[child].relation(&wanted);
                let (kind, sql) = (ObjectKind::ForeignKey, Some(key.clause()));
                let left_out = LeftOut::part(kind, &table.name, &name, sql.as_deref());
                match self.parent_of(child, key, columns) {
                    Ok(parent) => keys.push(PlannedForeignKey {
                        child,
                        parent,
                        columns: key.columns.clone(),
                        parent_columns: key.parent_columns.clone(),
                        ddl: ForeignKeyDdl {
                            table: qualify(self.schema_name, &self.table_names[child]),
                            name,
                            columns: renamed(&key.columns, columns[child]),
                            parent: qualify(self.schema_name, &self.table_names[parent]),
                            parent_columns: renamed(&key.parent_columns, columns[parent]),
                            on_delete: key.on_delete,
                            on_update: key.on_update,
                            deferrable: key.deferrable,
                            comment: comments::for_foreign_key(key),
                        },
                        left_out,
                    }),
                    Err(reason) => self.left_out.push(left_out.because(reason)),
                }
            }
        }
        keys
    }

    /// The parent's index, or the reason why the key is impossible.
    fn parent_of(
        &self,
        child: usize,
        key: &ForeignKey,
        columns: &[&[PlannedColumn<ToPostgres>]],
    ) -> Result<usize, String> {
        let parent = self.schema().tables.iter().position(|table| table.name == key.parent);
        let Some(parent) = parent else {
            return Err(format!(
                "table {} is {}",
                quote(&key.parent),
                if self.excluded.contains(&key.parent) {
                    BY_REQUEST
                } else {
                    "missing or not copied"
                }
            ));
        };
        let mut wanted = key.parent_columns.clone();
        wanted.sort_unstable();
        let is_unique = self.referable[parent].iter().any(|columns| {
            let mut columns = columns.clone();
            columns.sort_unstable();
            columns == wanted
        });
        if wanted.is_empty() || !is_unique {
            return Err("the parent's columns have no unique key".to_owned());
        }
        let type_of = |index: usize, name: &str| {
            columns[index]
                .iter()
                .find(|column| column.name == name)
                .map(|column| column.mapping.encoding.column_type)
        };
        for (from, to) in key.columns.iter().zip(&key.parent_columns) {
            let (Some(from), Some(to)) = (type_of(child, from), type_of(parent, to)) else {
                return Err("one of its columns is missing".to_owned());
            };
            let both_integers = integer_limit(&from).is_some() && integer_limit(&to).is_some();
            if from != to && !(from.is_text() && to.is_text()) && !both_integers {
                return Err(format!("its columns are {from} and {to}, which cannot be compared"));
            }
        }
        Ok(parent)
    }
}

fn renamed(names: &[String], columns: &[PlannedColumn<ToPostgres>]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            columns
                .iter()
                .find(|column| column.name == *name)
                .map_or_else(|| name.clone(), |column| column.target_name.clone())
        })
        .collect()
}

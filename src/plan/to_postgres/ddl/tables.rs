//! The definition of one table.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::error::plural;
use crate::plan::model::{PlannedColumn, PlannedTable};
use crate::plan::texts::column_renamed;
use crate::plan::to_postgres::column_types::TableDecision;
use crate::plan::to_postgres::ddl::comments;
use crate::plan::to_postgres::ddl::definitions::{Definitions, column_names, integer_limit};
use crate::plan::to_postgres::model::{ChunkedRead, PostgresFinish, ToPostgres};
use crate::postgres::sql::ddl::{ColumnDdl, TableDdl};
use crate::postgres::sql::from_sqlite::default::default_clause;
use crate::postgres::sql::from_sqlite::definitions::generated;
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::expression::Collation;
use crate::schema::names::qualify;
use crate::schema::{Column, LeftOut, ObjectKind};
use crate::sqlite::read::query::TableQuery;

impl Definitions<'_> {
    /// Defines one table, without its chunks and the columns that are sent.
    pub(crate) fn table(&mut self, index: usize) -> PlannedTable<ToPostgres> {
        let columns = self.planned_columns(index);
        let scope_columns = self.scope_columns(index, &columns);
        let scope = Scope::new(&scope_columns);
        let mut sequence = None;
        let ddl_columns: Vec<ColumnDdl> = (0..columns.len())
            .map(|number| {
                let identity = self.identity(index, number, &columns[number]);
                let name = identity.map(|(name, highest)| {
                    sequence = Some((name.clone(), highest));
                    name
                });
                self.column(index, number, &columns[number], (&scope, &scope_columns), name)
            })
            .collect();
        let ddl = TableDdl {
            schema: self.schema_name.to_owned(),
            name: self.table_names[index].clone(),
            columns: ddl_columns,
            comment: self.table_comment(index),
        };
        let keys = self.keys(index, &scope_columns);
        let indexes = self.indexes(index, &scope_columns);
        let checks = self.checks(index, &scope);
        let TableDecision { query, profile, rejected, .. } = &self.decisions.tables[index];
        let address = profile.address(query.address.clone());
        let query = TableQuery { address, ..query.clone() };
        let layout = TupleLayout::new(Vec::new());
        PlannedTable {
            name: query.table.clone(),
            ddl,
            columns,
            read: ChunkedRead { query, layout, sent: Vec::new(), chunks: Vec::new() },
            rows: profile.rows,
            bytes: profile.bytes,
            rejected: rejected.clone(),
            indexes,
            finish: PostgresFinish { keys, checks, sequence },
        }
    }

    fn planned_columns(&mut self, index: usize) -> Vec<PlannedColumn<ToPostgres>> {
        let table = &self.schema().tables[index];
        let wanted: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let names = column_names(&wanted);
        let types = &self.decisions.tables[index].types;
        let mut columns = Vec::with_capacity(names.len());
        for ((column, target_name), decision) in table.columns.iter().zip(names).zip(types) {
            let owner = ("table", table.name.as_str());
            self.notes.extend(column_renamed(owner, &column.name, &target_name));
            columns.push(PlannedColumn {
                name: column.name.clone(),
                target_name,
                declared: column.declared.clone(),
                mapping: decision.encoder,
                conversions: decision.conversions.clone(),
                reason: decision.reason.clone(),
                needs_review: decision.needs_review,
            });
        }
        columns
    }

    /// The sequence of an identity column, and the highest value that it has handed out.
    fn identity(
        &mut self,
        index: usize,
        number: usize,
        planned: &PlannedColumn<ToPostgres>,
    ) -> Option<(String, i64)> {
        let table = &self.schema().tables[index];
        let limit = integer_limit(&planned.mapping.encoding.column_type)
            .filter(|_| table.columns[number].identity)?;
        let wanted = format!("{}_{}_seq", self.table_names[index], planned.target_name);
        let name = qualify(self.schema_name, &self.relations.relation(&wanted));
        let profile = self.decisions.tables[index].profile.columns.get(number);
        let stored = profile.and_then(|profile| profile.range).map_or(0, |(_, greatest)| greatest);
        Some((name, stored.max(table.sequence.unwrap_or(0)).min(limit)))
    }

    fn column(
        &mut self,
        index: usize,
        number: usize,
        planned: &PlannedColumn<ToPostgres>,
        scope: (&Scope<'_>, &[ScopeColumn]),
        identity: Option<String>,
    ) -> ColumnDdl {
        let table = &self.schema().tables[index];
        let column = &table.columns[number];
        let key = table.primary_key.as_ref().filter(|key| !self.has_nulls(index, key));
        let in_key = key.is_some_and(|key| key.columns.iter().any(|c| c.name == column.name));
        let autoincrement = self.fact(index, |facts| facts.autoincrement);
        let column_type = planned.mapping.encoding.column_type;
        let default = column.default.as_ref().filter(|_| identity.is_none()).and_then(|sql| {
            let refused = |reason| self.list(ObjectKind::Default, index, column, &sql.text, reason);
            default_clause(sql, &column_type).map_err(refused).ok()
        });
        let not_null = self.is_not_null(index, number);
        let reason = match &column.collation {
            Collation::Other(name) => Some(format!(
                "only the application defines the collation {name}; text compares by bytes"
            )),
            Collation::NoCase if column_type.is_text() => Some(
                "COLLATE NOCASE: = is case-sensitive in PostgreSQL; its keys and indexes \
                 are over lower(column)"
                    .to_owned(),
            ),
            Collation::RTrim if column_type.is_text() => Some(
                "COLLATE RTRIM: trailing spaces count in PostgreSQL; its keys and indexes are over \
                 rtrim(column)"
                    .to_owned(),
            ),
            _ => None,
        };
        if let Some(reason) = reason {
            let left_out = LeftOut::part(ObjectKind::Column, &table.name, &column.name, None);
            self.left_out.push(left_out.because(reason));
        }
        if let Some(conflict) = column.conflict {
            self.list_conflict(index, &format!("NOT NULL of {}", column.name), conflict);
        }
        let generated = self.generated(index, number, scope);
        ColumnDdl {
            name: planned.target_name.clone(),
            column_type,
            not_null: column.identity || in_key || not_null,
            default,
            generated,
            identity,
            comment: comments::for_column(column, planned, in_key, autoincrement),
        }
    }

    /// Whether the column can be NOT NULL as it is declared.
    fn is_not_null(&mut self, index: usize, number: usize) -> bool {
        let table = &self.schema().tables[index];
        let column = &table.columns[number];
        let nulls = self.nulls(index, number);
        if column.not_null && nulls > 0 {
            let left_out = LeftOut::part(ObjectKind::Column, &table.name, &column.name, None);
            let nulls = plural(nulls, "of its values is", "of its values are");
            let reason = format!("declared NOT NULL, but {nulls} NULL");
            self.left_out.push(left_out.because(reason));
        }
        column.not_null && nulls == 0
    }

    /// The expression of a generated column.
    fn generated(
        &mut self,
        index: usize,
        number: usize,
        (scope, columns): (&Scope<'_>, &[ScopeColumn]),
    ) -> Option<String> {
        let column = &self.schema().tables[index].columns[number];
        let rule = column.generated.as_ref()?;
        let translated = if self.decisions.tables[index].is_sent_whole() {
            // The encoder must see the values that decide whether a row can be sent.
            Err("is in a table whose rows may not all fit".to_owned())
        } else {
            generated(&rule.expression, scope, &columns[number])
        };
        let refused = |reason: String| {
            let reason = format!("{reason}; it becomes a plain column with its values");
            let (kind, sql) = (ObjectKind::GeneratedColumn, &rule.expression.text);
            self.list(kind, index, column, sql, reason);
        };
        translated.map_err(refused).ok()
    }

    fn list(&mut self, kind: ObjectKind, table: usize, column: &Column, sql: &str, reason: String) {
        let table = &self.schema().tables[table].name;
        let left_out = LeftOut::part(kind, table, &column.name, Some(sql));
        self.left_out.push(left_out.because(reason));
    }
}

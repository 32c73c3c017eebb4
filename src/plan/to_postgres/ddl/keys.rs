//! Keys, indexes and checks of one table, as far as the server can have them.

use crate::plan::model::OptionalDdl;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::PlannedKey;
use crate::plan::to_postgres::source_checks::key_label;
use crate::postgres::sql::ddl;
use crate::postgres::sql::from_sqlite::definitions::{condition, index_term};
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Collation;
use crate::schema::names::{qualify, quote};
use crate::schema::reason::Reason;
use crate::schema::{Index, IndexOver, LeftOut, ObjectKind};

impl Definitions<'_> {
    pub(crate) fn keys(&mut self, place: usize, scope: &[ScopeColumn]) -> Vec<PlannedKey> {
        let schema = self.schema();
        let table = &schema.tables[place];
        let primary = table.primary_key.iter().map(|key| (key, true));
        let all = primary.chain(table.uniques.iter().map(|key| (key, false)));
        let mut keys = Vec::new();
        for (number, (key, primary)) in all.enumerate() {
            let has_nulls = primary && self.has_nulls(place, key);
            let as_primary = primary && !has_nulls;
            let what = format!(
                "{} of {}",
                if primary { "primary key" } else { "unique key" },
                quote(&table.name)
            );
            let columns: Vec<&str> = key.columns.iter().map(|c| c.name.as_str()).collect();
            let target = &self.table_names[place];
            let wanted = key.name.clone().unwrap_or_else(|| {
                if primary {
                    format!("{target}_pkey")
                } else {
                    format!("{target}_{}_key", columns.join("_"))
                }
            });
            let name = self.relations.relation(&wanted);
            self.constraints[place].relation(&name);
            let qualified = qualify(self.schema_name, target);
            let mut plain = true;
            let mut terms = Vec::new();
            for column in &key.columns {
                let (term, is_plain) = key_term(scope, &column.name, &column.collation);
                plain &= is_plain;
                terms.push(term);
            }
            let hashed = self.decisions.too_wide.contains_key(&(place, key_label(number)));
            if hashed {
                // Only reached where the user let such keys be built over a hash.
                plain = false;
                terms = key.columns.iter().map(|c| hashed_term(scope, &c.name)).collect();
                self.notes.push(format!(
                    "{what} ({}) is built over a hash of its values, which are too wide for an index",
                    columns.join(", ")
                ));
            }
            if has_nulls {
                let (kind, sql) =
                    (ObjectKind::PrimaryKey, format!("PRIMARY KEY ({})", columns.join(", ")));
                let left_out = LeftOut::part(kind, &table.name, &name, Some(&sql));
                let reason = "some of its values are NULL; it becomes a unique key";
                self.left_out.push(left_out.because(reason));
            }
            if plain {
                self.referable[place].push(columns.iter().map(|&name| name.to_owned()).collect());
            }
            keys.push(PlannedKey {
                what,
                name: name.clone(),
                columns: columns.iter().map(|&name| name.to_owned()).collect(),
                index: ddl::create_index(&qualified, &name, true, &terms, None),
                constraint: plain.then(|| ddl::add_key(&qualified, &name, as_primary)),
            });
        }
        keys
    }

    pub(crate) fn indexes(&mut self, place: usize, columns: &[ScopeColumn]) -> Vec<OptionalDdl> {
        let schema = self.schema();
        let table = &schema.tables[place];
        let scope = Scope::new(columns);
        let mut indexes = Vec::new();
        for (number, index) in table.indexes.iter().enumerate() {
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
            if let Some(width) = self.decisions.too_wide.get(&(place, index.name.clone())) {
                let reason =
                    format!("its widest entry has {width} bytes, and the server takes 2,704");
                self.left_out.push(left_out.because(reason));
                continue;
            }
            match index_parts(index, &scope) {
                Ok((terms, filter)) => {
                    let name = self.index_names[place][number].clone();
                    let qualified = qualify(self.schema_name, &self.table_names[place]);
                    if index.unique && filter.is_none() {
                        self.note_referable(place, index, columns);
                    }
                    let filter = filter.as_deref();
                    indexes.push(OptionalDdl {
                        what: format!("index {} on {}", quote(&index.name), quote(&table.name)),
                        sql: ddl::create_index(&qualified, &name, index.unique, &terms, filter),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        indexes
    }

    fn note_referable(&mut self, place: usize, index: &Index, columns: &[ScopeColumn]) {
        let referable: Option<Vec<String>> = index
            .terms
            .iter()
            .map(|term| match &term.over {
                IndexOver::Column(name) => {
                    let (_, plain) = key_term(columns, name, &term.collation);
                    plain.then(|| name.clone())
                }
                IndexOver::Expression(_) => None,
            })
            .collect();
        self.referable[place].extend(referable);
    }

    pub(crate) fn checks(&mut self, place: usize, scope: &Scope<'_>) -> Vec<OptionalDdl> {
        let schema = self.schema();
        let table = &schema.tables[place];
        let mut checks = Vec::new();
        for (number, check) in table.checks.iter().enumerate() {
            let wanted = check
                .name
                .clone()
                .unwrap_or_else(|| format!("{}_check{}", self.table_names[place], number + 1));
            let name = self.constraints[place].relation(&wanted);
            let (kind, sql) = (ObjectKind::Check, Some(check.condition.text.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &name, sql);
            match condition(&check.condition, scope) {
                Ok(condition) => {
                    let qualified = qualify(self.schema_name, &self.table_names[place]);
                    checks.push(OptionalDdl {
                        what: format!("check {} on {}", quote(&name), quote(&table.name)),
                        sql: ddl::add_check(&qualified, &name, &condition, true),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        checks
    }
}

/// A key's term over a column, and whether it is the column itself. SQLite's NOCASE folds ASCII
/// letters only, which is what `lower` does under the collation "C".
fn key_term(scope: &[ScopeColumn], name: &str, collation: &Collation) -> (String, bool) {
    let Some(column) = scope.iter().find(|column| column.name == name) else {
        return (quote(name), true);
    };
    let quoted = quote(&column.target);
    match collation {
        Collation::NoCase if column.column_type.is_text() => {
            (format!("pg_catalog.lower({quoted} COLLATE \"C\")"), false)
        }
        Collation::RTrim if column.column_type.is_text() => {
            (format!("pg_catalog.rtrim({quoted}, ' ')"), false)
        }
        _ => (quoted, true),
    }
}

/// A term over the hash of a column of any length, and the column itself where that is short.
fn hashed_term(scope: &[ScopeColumn], name: &str) -> String {
    let Some(column) = scope.iter().find(|column| column.name == name) else {
        return quote(name);
    };
    let quoted = quote(&column.target);
    match column.column_type {
        ColumnType::Bytea => format!("pg_catalog.sha256({quoted})"),
        // The server has no longer hash of text that it allows in an index.
        ref text if text.is_text() => {
            format!("pg_catalog.md5({})", key_term(scope, name, &column.collation).0)
        }
        _ => quoted,
    }
}

/// The terms and the filter of an index, or why it cannot be.
fn index_parts(index: &Index, scope: &Scope<'_>) -> Result<(Vec<String>, Option<String>), Reason> {
    let terms: Result<Vec<String>, _> =
        index.terms.iter().map(|term| index_term(term, scope)).collect();
    let filter = index.filter.as_ref().map(|sql| condition(sql, scope)).transpose();
    Ok((terms?, filter?))
}

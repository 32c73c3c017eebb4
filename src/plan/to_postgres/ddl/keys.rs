//! Keys, indexes and CHECKs of one table, where the server can have them.

use crate::plan::model::OptionalDdl;
use crate::plan::to_postgres::ddl::comments;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::model::PlannedKey;
use crate::plan::to_postgres::source_checks::key_label;
use crate::postgres::sql::ddl;
use crate::postgres::sql::from_sqlite::definitions::{condition, index_term};
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::column_type::ColumnType;
use crate::schema::ddl::create_index;
use crate::schema::expression::Collation;
use crate::schema::names::{qualify, quote};
use crate::schema::reason::Reason;
use crate::schema::{Conflict, Index, IndexTerm, LeftOut, ObjectKind};

impl Definitions<'_> {
    /// The primary key and the unique keys of a table.
    pub(crate) fn keys(&mut self, owner: usize, scope: &[ScopeColumn]) -> Vec<PlannedKey> {
        let schema = self.schema();
        let table = &schema.tables[owner];
        let primary = table.primary_key.iter().map(|key| (key, true));
        let all = primary.chain(table.uniques.iter().map(|key| (key, false)));
        let mut keys = Vec::new();
        for (number, (key, primary)) in all.enumerate() {
            let has_nulls = primary && self.has_nulls(owner, key);
            let as_primary = primary && !has_nulls;
            let what = if primary { "primary key" } else { "unique key" };
            let what = format!("{what} of {}", quote(&table.name));
            let columns: Vec<&str> = key.names().collect();
            let target = &self.table_names[owner];
            let qualified = qualify(self.schema_name, target);
            let wanted = key.name.clone().unwrap_or_else(|| match primary {
                true => format!("{target}_pkey"),
                false => format!("{target}_{}_key", columns.join("_")),
            });
            let name = self.relations.relation(&wanted);
            let kind = if primary { ObjectKind::PrimaryKey } else { ObjectKind::Unique };
            let sql = format!("{} ({})", kind.as_str().to_uppercase(), columns.join(", "));
            let left_out = LeftOut::part(kind, &table.name, &name, Some(&sql));
            let is_unique = self.list_damage(owner, &key_label(number), &left_out);
            self.constraints[owner].relation(&name);
            let mut plain = is_unique;
            let mut terms = Vec::new();
            for column in &key.columns {
                let (term, is_plain) = key_term(scope, &column.name, &column.collation);
                plain &= is_plain;
                terms.push(term);
            }
            let hashed = self.decisions.too_wide.contains_key(&(owner, key_label(number)));
            if hashed {
                // Such keys reach this point only with --on-misfit widen.
                plain = false;
                let hashed = key.columns.iter().map(|c| hashed_term(scope, &c.name, &c.collation));
                terms = hashed.collect();
                self.note_hashed(&format!("{what} ({})", columns.join(", ")));
            }
            if has_nulls {
                let reason = "some of its values are NULL; it becomes a unique key";
                self.left_out.push(left_out.because(reason));
            }
            if let Some(conflict) = key.conflict {
                let kind = if primary { "PRIMARY KEY" } else { "UNIQUE" };
                self.list_conflict(owner, &format!("{kind} ({})", columns.join(", ")), conflict);
            }
            if plain {
                self.referable[owner].push(key.names().map(str::to_owned).collect());
            }
            // Damage has let duplicates in: the key cannot return.
            let note = comments::for_key(key, primary, plain && primary == as_primary);
            let note = note.filter(|_| is_unique);
            let comment = |object: &str| ddl::comment(object, note.as_deref());
            let mut index = create_index(&qualified, &name, is_unique, &terms, None);
            if !plain {
                index += &comment(&format!("INDEX {}", qualify(self.schema_name, &name)));
            }
            let constraint = || {
                let add = ddl::add_key(&qualified, &name, as_primary);
                add + &comment(&ddl::constraint(&qualified, &name))
            };
            keys.push(PlannedKey {
                what,
                columns: key.names().map(str::to_owned).collect(),
                index,
                constraint: plain.then(constraint),
                name,
            });
        }
        keys
    }

    /// Lists the conflict clause of `constraint`.
    pub(crate) fn list_conflict(&mut self, owner: usize, constraint: &str, conflict: Conflict) {
        let table = &self.schema().tables[owner].name;
        let name = format!("{constraint}{}", conflict.as_clause());
        let reason = "PostgreSQL refuses a statement that breaks it; a comment keeps the clause";
        let left_out = LeftOut::part(ObjectKind::ConflictClause, table, &name, None);
        self.left_out.push(left_out.because(reason));
    }

    /// The indexes of a table.
    pub(crate) fn indexes(&mut self, owner: usize, columns: &[ScopeColumn]) -> Vec<OptionalDdl> {
        let schema = self.schema();
        let table = &schema.tables[owner];
        let scope = Scope::new(columns);
        let mut indexes = Vec::new();
        for (number, index) in table.indexes.iter().enumerate() {
            let (kind, sql) = (ObjectKind::Index, Some(index.definition.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &index.name, sql);
            let is_unique = index.unique && self.list_damage(owner, &index.name, &left_out);
            // Unique ones reach this point only with --on-misfit widen.
            let width = self.decisions.too_wide.get(&(owner, index.name.clone()));
            if let Some(width) = width.filter(|_| !index.unique) {
                let reason = format!("its widest entry has {width} bytes; PostgreSQL allows 2,704");
                self.left_out.push(left_out.because(reason));
                continue;
            }
            match index_parts(index, &scope) {
                Ok((mut terms, filter)) => {
                    let what = format!("index {} on {}", quote(&index.name), quote(&table.name));
                    if width.is_some() {
                        let names = index.terms.iter().filter_map(|t| Some((t.column()?, t)));
                        let hashed =
                            names.map(|(name, t)| hashed_term(columns, name, &t.collation));
                        terms = hashed.collect();
                        self.note_hashed(&format!("unique {what}"));
                    }
                    let name = self.index_names[owner][number].clone();
                    let qualified = qualify(self.schema_name, &self.table_names[owner]);
                    if is_unique && filter.is_none() && width.is_none() {
                        self.note_referable(owner, index, columns);
                    }
                    let filter = filter.as_deref();
                    indexes.push(OptionalDdl {
                        what,
                        sql: create_index(&qualified, &name, is_unique, &terms, filter),
                        note: comments::for_index(index, &name)
                            .filter(|_| is_unique == index.unique)
                            .map(|n| (format!("INDEX {}", qualify(self.schema_name, &name)), n)),
                        name,
                        left_out,
                    });
                }
                Err(reason) => self.left_out.push(left_out.because(reason)),
            }
        }
        indexes
    }

    fn note_hashed(&mut self, what: &str) {
        self.notes.push(format!(
            "{what} is built over a hash of its values, which are too wide for an index"
        ));
    }

    /// Notes a unique index that a foreign key can refer to.
    fn note_referable(&mut self, owner: usize, index: &Index, columns: &[ScopeColumn]) {
        let plain = |term: &IndexTerm| {
            let name = term.column()?;
            key_term(columns, name, &term.collation).1.then(|| name.to_owned())
        };
        let referable: Option<Vec<String>> = index.terms.iter().map(plain).collect();
        self.referable[owner].extend(referable);
    }

    /// The CHECKs of a table.
    pub(crate) fn checks(&mut self, owner: usize, scope: &Scope<'_>) -> Vec<OptionalDdl> {
        let schema = self.schema();
        let table = &schema.tables[owner];
        let mut checks = Vec::new();
        for (number, check) in table.checks.iter().enumerate() {
            let wanted = check
                .name
                .clone()
                .unwrap_or_else(|| format!("{}_check{}", self.table_names[owner], number + 1));
            let name = self.constraints[owner].relation(&wanted);
            let (kind, sql) = (ObjectKind::Check, Some(check.condition.text.as_str()));
            let left_out = LeftOut::part(kind, &table.name, &name, sql);
            match condition(&check.condition, scope) {
                Ok(condition) => {
                    let qualified = qualify(self.schema_name, &self.table_names[owner]);
                    checks.push(OptionalDdl {
                        what: format!("check {} on {}", quote(&name), quote(&table.name)),
                        sql: ddl::add_check(&qualified, &name, &condition, true),
                        note: comments::for_check(check)
                            .map(|note| (ddl::constraint(&qualified, &name), note)),
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

/// A key's term over a column, and whether it is the column itself. NOCASE folds ASCII letters
/// only, as `lower` does under the collation "C".
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

/// A term over the hash of a column of any length, or a short column itself.
fn hashed_term(scope: &[ScopeColumn], name: &str, collation: &Collation) -> String {
    let Some(column) = scope.iter().find(|column| column.name == name) else {
        return quote(name);
    };
    let quoted = quote(&column.target);
    match column.column_type {
        ColumnType::Bytea => format!("pg_catalog.sha256({quoted})"),
        // PostgreSQL has no longer hash of text that is immutable, as an index needs.
        ref text if text.is_text() => {
            format!("pg_catalog.md5({})", key_term(scope, name, collation).0)
        }
        _ => quoted,
    }
}

/// The terms and the filter of an index, or the reason why it is impossible.
fn index_parts(index: &Index, scope: &Scope<'_>) -> Result<(Vec<String>, Option<String>), Reason> {
    let terms: Result<Vec<String>, _> =
        index.terms.iter().map(|term| index_term(term, scope)).collect();
    let filter = index.filter.as_ref().map(|sql| condition(sql, scope)).transpose();
    Ok((terms?, filter?))
}

//! The comparison of one table's schema.

use crate::schema::names::quote;
use crate::schema::{ForeignKey, Index, IndexOver, Key, ObjectKind, Table};
use crate::verify::schema_check::diff::SchemaDiff;
use crate::verify::schema_check::existing::Existing;
use crate::verify::schema_check::expected::{Expected, ExpectedTable};

/// The comparison of one table.
pub(crate) struct TableDiff<'a> {
    pub(crate) expected: &'a Expected,
    pub(crate) existing: &'a Existing,
    /// The expected table, with its names for messages.
    pub(crate) table: &'a ExpectedTable,
    /// The same in the target's names.
    pub(crate) wanted: &'a Table,
    /// The table in the target.
    pub(crate) found: &'a Table,
}

/// An index of the target, of a key or not.
struct IndexShape<'a> {
    unique: bool,
    partial: bool,
    /// The columns; `None` for an expression.
    columns: Vec<Option<&'a str>>,
}

impl TableDiff<'_> {
    /// Compares all parts of the table.
    pub(crate) fn run(&self, diff: &mut SchemaDiff) {
        self.keys(diff);
        self.indexes(diff);
        self.foreign_keys(diff);
        self.checks(diff);
        self.columns(diff);
        self.next_key(diff);
    }

    fn same(&self, one: &str, other: &str) -> bool {
        self.existing.same_name(one, other)
    }

    fn same_option(&self, one: Option<&String>, other: Option<&String>) -> bool {
        one.zip(other).is_some_and(|(one, other)| self.same(one, other))
    }

    /// Reports an object that the target lacks. `name` is its name in the target if it is known.
    fn missing(&self, (kind, name): (ObjectKind, Option<&str>), what: &str, diff: &mut SchemaDiff) {
        let not_in_force = self.existing.left_out.iter().find(|found| {
            found.kind == kind
                && found.table.as_ref().is_some_and(|table| self.same(table, &self.found.name))
                && name.is_some_and(|name| self.same(&found.name, name))
        });
        // A run lists constraints without a name under one that it made for the target.
        let omitted = self.expected.omissions.iter().any(|omission| {
            omission.kind == kind
                && omission.table.as_ref() == Some(&self.table.name)
                && (kind != ObjectKind::Index || name.is_none_or(|name| omission.name == name))
        });
        match not_in_force {
            Some(found) if self.expected.planned => {
                diff.differences.push(format!("the {what} exists, but {}", found.reason));
            }
            _ if omitted => diff.notes.push(format!("the {what} was not migrated")),
            _ => diff.differences.push(format!("the {what} is missing")),
        }
    }

    fn columns(&self, diff: &mut SchemaDiff) {
        let table = quote(&self.table.name);
        for (name, wanted) in self.table.columns.iter().zip(&self.wanted.columns) {
            let mut columns = self.found.columns.iter();
            match columns.find(|column| self.same(&column.name, &wanted.name)) {
                None => {
                    diff.differences.push(format!("column {} of {table} is missing", quote(name)))
                }
                Some(found) if wanted.not_null && !found.not_null => diff
                    .differences
                    .push(format!("column {} of {table} may be NULL in the target", quote(name))),
                Some(_) => {}
            }
        }
        for found in &self.found.columns {
            let is_found = |wanted: &str| self.same(wanted, &found.name);
            if !self.wanted.columns.iter().any(|wanted| is_found(&wanted.name)) {
                let (column, table) = (quote(&found.name), quote(&self.found.name));
                diff.notes.push(format!("column {column} of {table} is in the target only"));
            }
        }
    }

    fn keys(&self, diff: &mut SchemaDiff) {
        let (primary, shapes) = (self.found.primary_key.iter(), self.index_shapes());
        let constraints: Vec<&Key> = primary.clone().chain(&self.found.uniques).collect();
        let wanted_primary = self.wanted.primary_key.iter().map(|key| (key, true));
        let wanted_uniques = self.wanted.uniques.iter().map(|key| (key, false));
        for (key, is_primary) in wanted_primary.chain(wanted_uniques) {
            let columns: Vec<&str> = key.columns.iter().map(|c| c.name.as_str()).collect();
            let has_columns = |found: &&Key| {
                let found = found.columns.iter().map(|column| Some(column.name.as_str()));
                self.same_columns(&found.collect::<Vec<_>>(), &columns)
            };
            let exists = if key.name.is_some() {
                let mut named = constraints.iter();
                named.any(|found| {
                    self.same_option(found.name.as_ref(), key.name.as_ref()) && has_columns(found)
                })
            } else if self.expected.planned && is_primary {
                primary.clone().any(|found| has_columns(&found))
            } else {
                let is_key = |shape: &IndexShape<'_>| shape.unique && !shape.partial;
                shapes.iter().any(|s| is_key(s) && self.same_columns(&s.columns, &columns))
            };
            if !exists {
                let (kind, word) = match is_primary {
                    true => (ObjectKind::PrimaryKey, "primary key"),
                    false => (ObjectKind::Unique, "unique key"),
                };
                let names: Vec<String> =
                    columns.iter().map(|column| quote(self.source_name(column))).collect();
                let table = quote(&self.table.name);
                let what = format!("{word} of {table} on {}", names.join(", "));
                self.missing((kind, None), &what, diff);
            }
        }
    }

    fn indexes(&self, diff: &mut SchemaDiff) {
        let shapes = self.index_shapes();
        for index in &self.wanted.indexes {
            let what = format!("index {} on {}", quote(&index.name), quote(&self.table.name));
            let exists = if index.terms.is_empty() {
                self.found.indexes.iter().any(|found| self.same(&found.name, &index.name))
            } else {
                let columns: Option<Vec<&str>> = index.terms.iter().map(plain_column).collect();
                let Some(columns) = columns else {
                    diff.notes.push(format!("the {what} is over expressions: it is not compared"));
                    continue;
                };
                shapes.iter().any(|shape| self.serves_as(shape, index, &columns))
            };
            if !exists {
                self.missing((ObjectKind::Index, Some(&index.name)), &what, diff);
            }
        }
    }

    fn serves_as(&self, shape: &IndexShape<'_>, index: &Index, columns: &[&str]) -> bool {
        (shape.unique || !index.unique)
            && shape.partial == index.filter.is_some()
            && shape.columns.len() == columns.len()
            && shape.columns.iter().zip(columns).all(|(found, wanted)| self.covers(*found, wanted))
    }

    fn foreign_keys(&self, diff: &mut SchemaDiff) {
        for key in &self.wanted.foreign_keys {
            let names: Vec<String> =
                key.columns.iter().map(|column| quote(self.source_name(column))).collect();
            let table = quote(&self.table.name);
            let what = format!("foreign key of {table} on {}", names.join(", "));
            let mut found = self.found.foreign_keys.iter();
            let Some(found) = found.find(|found| self.same_foreign_key(found, key)) else {
                self.missing((ObjectKind::ForeignKey, None), &what, diff);
                continue;
            };
            let id = (self.found.name.clone(), found.name.clone().unwrap_or_default());
            if self.existing.not_valid.contains(&id) {
                let text = format!("the {what} holds for new rows only (NOT VALID)");
                if self.expected.planned { &mut diff.differences } else { &mut diff.notes }
                    .push(text);
            }
        }
    }

    fn same_foreign_key(&self, one: &ForeignKey, other: &ForeignKey) -> bool {
        let has_pair = |(child, parent): (&String, &String)| {
            let mut pairs = other.columns.iter().zip(&other.parent_columns);
            pairs.any(|(c, p)| self.same(child, c) && self.same(parent, p))
        };
        self.same(&one.parent, &other.parent)
            && one.columns.len() == other.columns.len()
            && one.parent_columns.len() == other.parent_columns.len()
            && one.columns.iter().zip(&one.parent_columns).all(has_pair)
    }

    fn checks(&self, diff: &mut SchemaDiff) {
        let (wanted, found) = (&self.wanted.checks, &self.found.checks);
        let table = quote(&self.table.name);
        let mut missing = 0;
        for check in wanted.iter().filter(|check| check.name.is_some()) {
            if !found.iter().any(|f| self.same_option(f.name.as_ref(), check.name.as_ref())) {
                missing += 1;
                let name = check.name.as_deref();
                let what = format!("check {} on {table}", quote(name.unwrap_or_default()));
                self.missing((ObjectKind::Check, name), &what, diff);
            }
        }
        if missing == 0 && found.len() < wanted.len() {
            let (found, wanted) = (found.len(), wanted.len());
            diff.differences.push(format!("table {table} has {found} of {wanted} checks"));
        }
    }

    fn next_key(&self, diff: &mut SchemaDiff) {
        let Some(highest) = self.wanted.sequence else { return };
        let table = quote(&self.table.name);
        match self.found.sequence {
            None => {
                let text = format!("the key of {table} has no sequence and no AUTOINCREMENT");
                if self.expected.planned { &mut diff.differences } else { &mut diff.notes }
                    .push(text);
            }
            Some(last) if last < highest => {
                let next = last.saturating_add(1);
                diff.differences.push(format!(
                    "the next key of {table} is {next}, but keys up to {highest} are in use"
                ));
            }
            Some(_) => {}
        }
    }

    /// All indexes of the target's table, also those of keys.
    fn index_shapes(&self) -> Vec<IndexShape<'_>> {
        let keys = self.found.primary_key.iter().chain(&self.found.uniques);
        let keys = keys.map(|key| IndexShape {
            unique: true,
            partial: false,
            columns: key.columns.iter().map(|column| Some(column.name.as_str())).collect(),
        });
        let indexes = self.found.indexes.iter().map(|index| IndexShape {
            unique: index.unique,
            partial: index.filter.is_some(),
            columns: index.terms.iter().map(plain_column).collect(),
        });
        keys.chain(indexes).collect()
    }

    /// Whether an index is over all of `wanted` and nothing else, in any order.
    fn same_columns(&self, found: &[Option<&str>], wanted: &[&str]) -> bool {
        found.len() == wanted.len()
            && wanted.iter().all(|wanted| found.iter().any(|found| self.covers(*found, wanted)))
    }

    /// Whether a term of an index is the wanted column. Without a plan any expression is accepted: a
    /// collation is a folded term, and a long value is indexed by its hash.
    fn covers(&self, found: Option<&str>, wanted: &str) -> bool {
        found.map_or(!self.expected.planned, |found| self.same(found, wanted))
    }

    /// The name in the source of a column of the expected table.
    fn source_name<'n>(&'n self, target: &'n str) -> &'n str {
        let index = self.wanted.columns.iter().position(|column| column.name == *target);
        index.and_then(|index| self.table.columns.get(index)).map_or(target, String::as_str)
    }
}

/// The column of an index term; `None` for an expression and for a column that the target lacks.
fn plain_column(term: &crate::schema::IndexTerm) -> Option<&str> {
    match &term.over {
        IndexOver::Column(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}
